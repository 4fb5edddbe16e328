"""A library whose headers no binary package has, built from the distribution's source package."""

load("//bazel:apt.bzl", "apt_get", "run")

_BUILD = """
package(default_visibility = ["//visibility:public"])

cc_library(
    name = "{target}",
    srcs = {sources},
    hdrs = glob({headers}),
    copts = {copts},
    # Layouts may depend on these, so that whoever includes the headers gets them too.
    defines = {defines},
    includes = {includes},
)
"""

def _unpack(ctx):
    """Unpacks the source package into src/ and returns its version."""
    package = ctx.attr.package
    if not ctx.which("dpkg-source"):
        fail("dpkg-source not found; run: tools/setup")
    apt_get(ctx, "deb-src", ["--download-only", "source", package], "the source package {} could not be had".format(package))
    description = run(ctx, ["sh", "-c", "ls *.dsc"], "the source package has no description").strip()
    run(ctx, ["dpkg-source", "--no-check", "-x", description, "src"], "unpacking the source package failed")
    run(ctx, ["sh", "-c", "rm -rf apt *.tar.* *.dsc; find src -name 'BUILD*' -delete"], "tidying failed")
    return description.split("_")[1].rpartition(".dsc")[0]

def _debian_source_impl(ctx):
    version = _unpack(ctx)
    sources = ["src/" + source for source in ctx.attr.srcs]
    for label in ctx.attr.stubs:
        ctx.symlink(label, label.name)
        sources.append(label.name)
    ctx.file("version.bzl", '{}_VERSION = "{}"\n'.format(ctx.attr.package.upper(), version))
    ctx.file("BUILD.bazel", _BUILD.format(
        target = ctx.attr.target,
        sources = sources,
        headers = ["src/" + pattern for pattern in ctx.attr.hdrs],
        copts = ["-w"] + ctx.attr.copts,
        defines = ctx.attr.defines,
        includes = ["src/" + directory if directory else "src" for directory in ctx.attr.includes],
    ))

debian_source = repository_rule(
    implementation = _debian_source_impl,
    attrs = {
        "package": attr.string(mandatory = True, doc = "The source package's name; version.bzl defines its version as NAME_VERSION."),
        "target": attr.string(mandatory = True, doc = "The name of the one target."),
        "srcs": attr.string_list(mandatory = True, doc = "The smallest set of the package's sources that the library needs."),
        "hdrs": attr.string_list(default = ["**/*.h"], doc = "Patterns of the headers that are seen from outside."),
        "stubs": attr.label_list(doc = "Files of ours that stand in for the rest of it."),
        "copts": attr.string_list(),
        "defines": attr.string_list(),
        "includes": attr.string_list(default = [""], doc = "Directories of the package, to include from."),
    },
    doc = "Fetches a source package without root and without touching the system's configuration. Nothing of it is ever committed.",
)

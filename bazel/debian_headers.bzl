"""A library that is installed, with headers from a package that is only unpacked."""

load("//bazel:apt.bzl", "apt_get", "run")

_BUILD = """
package(default_visibility = ["//visibility:public"])

cc_library(
    name = "{target}",
    hdrs = glob({headers}),
    includes = {includes},
    linkopts = {linkopts},
)
"""

def _debian_headers_impl(ctx):
    if not ctx.path(ctx.attr.proof).exists:
        fail("{} not found (package {}); run: tools/setup".format(ctx.attr.proof, ctx.attr.package))
    headers = ctx.attr.headers_package
    apt_get(ctx, "deb", ["download", headers], "the package {} could not be had".format(headers))
    run(ctx, ["sh", "-c", "dpkg-deb --fsys-tarfile *.deb | tar -x ./usr/include"], "unpacking {} failed".format(headers))
    run(ctx, ["sh", "-c", "rm -rf apt *.deb"], "tidying failed")
    ctx.file("BUILD.bazel", _BUILD.format(
        target = ctx.attr.target,
        headers = ["usr/include/{}/**".format(directory) for directory in ctx.attr.includes],
        includes = ["usr/include/" + directory for directory in ctx.attr.includes],
        linkopts = ctx.attr.linkopts,
    ))

debian_headers = repository_rule(
    implementation = _debian_headers_impl,
    attrs = {
        "package": attr.string(mandatory = True, doc = "The package of the library itself; tools/packages lists it."),
        "proof": attr.string(mandatory = True, doc = "A file that is there exactly when that package is installed."),
        "headers_package": attr.string(mandatory = True, doc = "The package of the headers, which is not installed."),
        "target": attr.string(mandatory = True, doc = "The name of the one target."),
        "includes": attr.string_list(mandatory = True, doc = "Directories below /usr/include, to include from."),
        "linkopts": attr.string_list(),
    },
    doc = "For a package of headers that depends on far more than what is used of it.",
)

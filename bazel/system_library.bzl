"""A library that the distribution has installed, as a Bazel repository."""

def _system_library_impl(ctx):
    if not ctx.path(ctx.attr.proof).exists:
        fail("{} not found (package {}); run: tools/setup".format(ctx.attr.proof, ctx.attr.package))

    lines = ['package(default_visibility = ["//visibility:public"])']
    headers = ""
    if ctx.attr.include:
        # A directory outside /usr/include is not the toolchain's: its headers have to be declared.
        ctx.symlink(ctx.attr.include, "include")
        headers = '\n    hdrs = glob(["include/**"]),\n    includes = ["include"],'
    for library, linkopts in ctx.attr.libraries.items():
        lines.append('cc_library(\n    name = "{}",{}\n    linkopts = {},\n)'.format(library, headers, linkopts))
    ctx.file("BUILD.bazel", "\n\n".join(lines) + "\n")

system_library = repository_rule(
    implementation = _system_library_impl,
    attrs = {
        "package": attr.string(mandatory = True, doc = "The distribution's package; tools/packages lists it."),
        "proof": attr.string(mandatory = True, doc = "A file that is there exactly when the package is installed."),
        "include": attr.string(doc = "The headers' directory where it is not below /usr/include itself."),
        "libraries": attr.string_list_dict(mandatory = True, doc = "Target name to link options."),
    },
    local = True,
    doc = "Headers below /usr/include belong to the toolchain already, so that a target only adds link options.",
)

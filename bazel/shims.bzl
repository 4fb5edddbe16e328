"""Stand-ins for the repositories that Bazel 4 would fetch from the internet.

While it resolves C++ toolchains, Bazel 4 loads @rules_cc and @rules_java, and for every test @remote_coverage_tools. The native rules
that those repositories re-export are built into Bazel 4 itself. A newer Bazel brings its own, and none of this is defined.
"""

_RULES = {
    "rules_cc": ("cc", ["cc_binary", "cc_import", "cc_library", "cc_test", "cc_toolchain", "cc_toolchain_suite", "objc_library"]),
    "rules_java": ("java", ["java_binary", "java_import", "java_library", "java_runtime", "java_toolchain"]),
}

def _native_rules_impl(ctx):
    folder, rules = _RULES[ctx.attr.rules]
    ctx.file("BUILD.bazel", "")
    ctx.file(folder + "/BUILD.bazel", "")
    ctx.file(folder + "/defs.bzl", "".join(["{0} = native.{0}\n".format(rule) for rule in rules]))

_native_rules = repository_rule(
    implementation = _native_rules_impl,
    attrs = {"rules": attr.string(mandatory = True, values = _RULES.keys())},
)

def _no_coverage_tools_impl(ctx):
    targets = ['filegroup(name = "{}")'.format(name) for name in ["coverage_report_generator", "lcov_merger"]]
    ctx.file("BUILD.bazel", "\n".join(['package(default_visibility = ["//visibility:public"])'] + targets) + "\n")

_no_coverage_tools = repository_rule(implementation = _no_coverage_tools_impl)

def bazel_4_shims():
    """Defines the stand-ins, where this Bazel needs them and nobody has defined the real ones."""
    version = getattr(native, "bazel_version", "")
    if version and not version.startswith("4."):
        return
    for name in _RULES:
        if not native.existing_rule(name):
            _native_rules(name = name, rules = name)
    if not native.existing_rule("remote_coverage_tools"):
        _no_coverage_tools(name = "remote_coverage_tools")

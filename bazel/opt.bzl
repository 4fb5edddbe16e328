"""Programs that only mean something when they are optimised."""

def _optimized_impl(_settings, _attr):
    return {"//command_line_option:compilation_mode": "opt"}

_optimized = transition(
    implementation = _optimized_impl,
    inputs = [],
    outputs = ["//command_line_option:compilation_mode"],
)

def _optimized_program_impl(ctx):
    program = ctx.attr.program[0][DefaultInfo]

    # In a folder of their own: a package may be named as the program is (//bench:report, //bench/report).
    folder = ctx.label.name + "_/"
    executable = ctx.actions.declare_file(folder + ctx.label.name)
    ctx.actions.symlink(output = executable, target_file = program.files_to_run.executable, is_executable = True)

    helpers = [helper[DefaultInfo] for helper in ctx.attr.helpers]
    listing = ctx.actions.declare_file(folder + ctx.label.name + ".helpers")
    ctx.actions.write(listing, "".join([helper.files_to_run.executable.short_path + "\n" for helper in helpers]))

    runfiles = ctx.runfiles(files = [executable, listing] + ctx.files.data + [helper.files_to_run.executable for helper in helpers])
    for info in [program] + helpers + [data[DefaultInfo] for data in ctx.attr.data]:
        runfiles = runfiles.merge(info.default_runfiles)
    return [DefaultInfo(executable = executable, runfiles = runfiles)]

_ATTRS = {
    "program": attr.label(mandatory = True, executable = True, cfg = _optimized, doc = "The program that runs."),
    "helpers": attr.label_list(cfg = _optimized, doc = "Programs that it starts; NAME.helpers lists their paths in the workspace's runfiles."),
    "data": attr.label_list(allow_files = True),
    "_allowlist_function_transition": attr.label(default = "@bazel_tools//tools/allowlists/function_transition_allowlist"),
}

optimized_program = rule(
    implementation = _optimized_program_impl,
    attrs = _ATTRS,
    executable = True,
    doc = "A program built with --compilation_mode=opt whatever the command line says, beside the programs that it starts.",
)

optimized_test = rule(
    implementation = _optimized_program_impl,
    attrs = _ATTRS,
    test = True,
    doc = "The same as a test: of optimised code, in every configuration.",
)

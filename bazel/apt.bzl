"""What repository rules fetch from the distribution, without root and without touching the system's configuration."""

def run(ctx, arguments, what):
    result = ctx.execute(arguments, timeout = 600)
    if result.return_code != 0:
        fail("{}: {}\n{}".format(what, result.stdout[-1000:], result.stderr[-2000:]))
    return result.stdout

def _sources_list(ctx, kind):
    """The machine's own package sources, of this kind alone; nothing of the system's configuration changes."""
    for name in ["/etc/apt/sources.list.d/debian.sources"]:
        if ctx.path(name).exists:
            lines = ctx.read(name).split("\n")
            ctx.file("apt/list.sources", "\n".join(["Types: " + kind if line.startswith("Types:") else line for line in lines]))
            return str(ctx.path("apt/list.sources"))
    if not ctx.path("/etc/apt/sources.list").exists:
        fail("no package sources found: neither /etc/apt/sources.list.d/debian.sources nor /etc/apt/sources.list")
    lines = [line for line in ctx.read("/etc/apt/sources.list").split("\n") if line.startswith("deb ")]
    ctx.file("apt/list.list", "".join([kind + " " + line[len("deb "):] + "\n" for line in lines]))
    return str(ctx.path("apt/list.list"))

def apt_get(ctx, kind, arguments, what):
    """Runs apt-get over a fresh index of the packages of this kind, `deb` or `deb-src`; leaves the folder apt/ behind."""
    if not ctx.which("apt-get"):
        fail("apt-get not found")
    ctx.file("apt/state/lists/partial/.keep", "")
    ctx.file("apt/cache/archives/partial/.keep", "")
    command = [
        "apt-get",
        "-oDir::Etc::SourceList=" + _sources_list(ctx, kind),
        "-oDir::Etc::SourceParts=/dev/null",
        "-oDir::State=" + str(ctx.path("apt/state")),
        "-oDir::State::status=/var/lib/dpkg/status",
        "-oDir::Cache=" + str(ctx.path("apt/cache")),
        "-oAPT::Sandbox::User=",
        "-oDebug::NoLocking=1",
        "-qq",
    ]
    run(ctx, command + ["update"], "reading the index of packages failed")
    run(ctx, command + arguments, what)

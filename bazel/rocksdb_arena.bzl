"""RocksDB's arena, from the distribution's source package, built as its authors release it."""

# The smallest set of RocksDB sources that the arenas need; the rest is stood in for by bazel/rocksdb_arena_stubs.cc.
_SOURCES = [
    "memory/arena.cc",
    "memory/concurrent_arena.cc",
    "memtable/alloc_tracker.cc",
    "port/port_posix.cc",
    "util/random.cc",
    "util/string_util.cc",
]

_BUILD = """
package(default_visibility = ["//visibility:public"])

cc_library(
    name = "arena",
    srcs = {sources} + ["stubs.cc"],
    hdrs = glob(["src/**/*.h"]),
    # -O2 -DNDEBUG -msse4.2 is the authors' release build; an optimised Bazel build adds the first two.
    copts = ["-w", "-msse4.2", "-std=c++17"],
    # Layouts depend on these, so that whoever includes the headers gets them too.
    defines = [
        "NDEBUG",
        "OS_LINUX",
        "ROCKSDB_LIB_IO_POSIX",
        "ROCKSDB_MALLOC_USABLE_SIZE",
        "ROCKSDB_PLATFORM_POSIX",
        "ROCKSDB_SCHED_GETCPU_PRESENT",
    ],
    includes = ["src", "src/include"],
)
"""

def _run(ctx, arguments, what):
    result = ctx.execute(arguments, timeout = 600)
    if result.return_code != 0:
        fail("{}: {}\n{}".format(what, result.stdout[-1000:], result.stderr[-2000:]))
    return result.stdout

def _sources_list(ctx):
    """The machine's own package sources, with `deb` turned into `deb-src`; nothing of the system's configuration changes."""
    for name in ["/etc/apt/sources.list.d/debian.sources"]:
        if ctx.path(name).exists:
            ctx.file("apt/list.sources", ctx.read(name).replace("Types: deb\n", "Types: deb-src\n").replace("Types: deb deb-src\n", "Types: deb-src\n"))
            return str(ctx.path("apt/list.sources"))
    if not ctx.path("/etc/apt/sources.list").exists:
        fail("no package sources found: neither /etc/apt/sources.list.d/debian.sources nor /etc/apt/sources.list")
    lines = [line for line in ctx.read("/etc/apt/sources.list").split("\n") if line.startswith("deb ")]
    ctx.file("apt/list.list", "".join(["deb-src " + line[len("deb "):] + "\n" for line in lines]))
    return str(ctx.path("apt/list.list"))

def _rocksdb_arena_impl(ctx):
    for tool in ["apt-get", "dpkg-source"]:
        if not ctx.which(tool):
            fail("{} not found; run: tools/setup".format(tool))
    ctx.file("apt/state/lists/partial/.keep", "")
    ctx.file("apt/cache/archives/partial/.keep", "")
    options = [
        "-oDir::Etc::SourceList=" + _sources_list(ctx),
        "-oDir::Etc::SourceParts=/dev/null",
        "-oDir::State=" + str(ctx.path("apt/state")),
        "-oDir::State::status=/var/lib/dpkg/status",
        "-oDir::Cache=" + str(ctx.path("apt/cache")),
        "-oAPT::Sandbox::User=",
        "-oDebug::NoLocking=1",
        "-qq",
    ]
    _run(ctx, ["apt-get"] + options + ["update"], "reading the index of source packages failed")
    _run(ctx, ["apt-get"] + options + ["--download-only", "source", ctx.attr.package], "the source package of RocksDB could not be had")
    description = _run(ctx, ["sh", "-c", "ls *.dsc"], "the source package has no description").strip()
    _run(ctx, ["dpkg-source", "--no-check", "-x", description, "src"], "unpacking the source package failed")
    _run(ctx, ["sh", "-c", "rm -rf apt *.tar.* *.dsc; find src -name 'BUILD*' -delete"], "tidying failed")

    ctx.symlink(ctx.attr._stubs, "stubs.cc")
    version = description.split("_")[1].rpartition(".dsc")[0]
    ctx.file("version.bzl", 'ROCKSDB_VERSION = "{}"\n'.format(version))
    ctx.file("BUILD.bazel", _BUILD.format(sources = ["src/" + source for source in _SOURCES]))

rocksdb_arena = repository_rule(
    implementation = _rocksdb_arena_impl,
    attrs = {
        "package": attr.string(default = "rocksdb"),
        "_stubs": attr.label(default = "//bazel:rocksdb_arena_stubs.cc"),
    },
    doc = "The arena's headers are private to RocksDB: no binary package has them, the source package does.",
)

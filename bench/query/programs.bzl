"""The programs of the query suite: the same source, each with what it measures."""

load("//bazel:sanitized.bzl", "NOT_SANITIZED")

_DEPS = [
    "//bench:program",
    "//bench:threads",
    "//integration/examples/query_engine:engine",
    "@benchmark",
]

def query_bench(name, srcs = [], deps = [], local_defines = []):
    """A program that stands on the malloc that `deps` bring, or on glibc's."""
    native.cc_binary(
        name = name,
        srcs = [
            "heap_memory.h",
            "main.cc",
            "queries.h",
        ] + srcs,
        local_defines = local_defines,
        # An instrumented program measures its instruments, and a sanitizer's malloc would be measured for any other.
        target_compatible_with = NOT_SANITIZED,
        deps = _DEPS + deps,
    )

def query_bench_malloc(malloc, library):
    """A program that measures one malloc, `@malloc`, which must come from `library` when it runs."""
    query_bench(
        name = "query_bench_" + malloc,
        deps = ["@" + malloc],
        local_defines = [
            "GRANARY_BENCH_MALLOC_ONLY",
            'GRANARY_BENCH_MALLOC_NAME=\\"{}\\"'.format(malloc),
            'GRANARY_BENCH_MALLOC_LIBRARY=\\"{}\\"'.format(library),
        ],
    )

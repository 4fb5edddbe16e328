"""The programs of the arena suite: the same sources, each with the malloc that it measures."""

load("//bazel:sanitized.bzl", "NOT_SANITIZED")

_SRCS = [
    "aligned_cases.cc",
    "batch.h",
    "cases.h",
    "container_cases.cc",
    "implementations.h",
    "main.cc",
    "mallocs.h",
    "memtable_cases.cc",
    "query_cases.cc",
    "trace_cases.cc",
]

_DEPS = [
    ":sizes",
    "//bench:program",
    "//bench/traces:rep_trace",
    "@benchmark",
]

def arena_bench(name, srcs = [], deps = [], local_defines = []):
    """A program that stands on the malloc that `deps` bring, or on glibc's."""
    native.cc_binary(
        name = name,
        srcs = _SRCS + srcs,
        data = ["//bench/traces"],
        local_defines = local_defines,
        # An instrumented program measures its instruments, and a sanitizer's malloc would be measured for any other.
        target_compatible_with = NOT_SANITIZED,
        deps = _DEPS + deps,
    )

def arena_bench_malloc(malloc, library):
    """A program that measures one malloc, `@malloc`, which must come from `library` when it runs."""
    arena_bench(
        name = "arena_bench_" + malloc,
        deps = ["@" + malloc],
        local_defines = [
            "GRANARY_BENCH_MALLOC_ONLY",
            'GRANARY_BENCH_MALLOC_NAME=\\"{}\\"'.format(malloc),
            'GRANARY_BENCH_MALLOC_LIBRARY=\\"{}\\"'.format(library),
        ] + (["GRANARY_BENCH_MIMALLOC"] if malloc == "mimalloc" else []),
    )

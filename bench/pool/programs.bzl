"""The programs of the pool suite: the same sources, each with what it measures."""

load("//bazel:sanitized.bzl", "NOT_SANITIZED")

_SRCS = [
    "implementations.h",
    "main.cc",
    "page_ring.h",
    "pattern_run.h",
    "patterns.h",
]

_DEPS = [
    "//bench:program",
    "//bench:threads",
    "@benchmark",
]

def pool_bench(name, srcs = [], deps = [], copts = [], local_defines = []):
    """A program that stands on the malloc that `deps` bring, or on glibc's."""
    native.cc_binary(
        name = name,
        srcs = _SRCS + srcs,
        copts = copts,
        local_defines = local_defines,
        # An instrumented program measures its instruments, and a sanitizer's malloc would be measured for any other.
        target_compatible_with = NOT_SANITIZED,
        deps = _DEPS + deps,
    )

def pool_bench_malloc(malloc, library):
    """A program that measures one malloc, `@malloc`, which must come from `library` when it runs."""
    pool_bench(
        name = "pool_bench_" + malloc,
        srcs = ["mallocs.h"],
        deps = ["@" + malloc],
        local_defines = [
            "GRANARY_BENCH_MALLOC_ONLY",
            'GRANARY_BENCH_MALLOC_NAME=\\"{}\\"'.format(malloc),
            'GRANARY_BENCH_MALLOC_LIBRARY=\\"{}\\"'.format(library),
        ],
    )

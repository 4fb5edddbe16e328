"""The programs of the region suite: the same source, each with what it measures."""

load("//bazel:sanitized.bzl", "NOT_SANITIZED")

def region_bench(name, deps = [], local_defines = []):
    """A program that stands on the malloc that `deps` bring, or on glibc's."""
    native.cc_binary(
        name = name,
        srcs = [
            "cases.h",
            "main.cc",
            "runs.h",
            "space_cases.h",
        ],
        data = ["//bench/traces"],
        local_defines = local_defines,
        # An instrumented program measures its instruments, and a sanitizer's malloc would be measured for any other.
        target_compatible_with = NOT_SANITIZED,
        deps = [
            ":implementations",
            ":orders",
            ":trace_run",
            "//bench:program",
            "//bench/traces:mapped_trace",
            "//bench/traces:rep_trace",
            "@benchmark",
        ] + deps,
    )

def region_bench_malloc(malloc, library):
    """A program that measures one malloc, `@malloc`, which must come from `library` when it runs."""
    region_bench(
        name = "region_bench_" + malloc,
        deps = ["@" + malloc],
        local_defines = [
            "GRANARY_BENCH_MALLOC_ONLY",
            'GRANARY_BENCH_MALLOC_NAME=\\"{}\\"'.format(malloc),
            'GRANARY_BENCH_MALLOC_LIBRARY=\\"{}\\"'.format(library),
        ],
    )

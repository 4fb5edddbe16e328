"""The workers of the replay: the same source, each with the malloc that it stands on."""

load("//bazel:sanitized.bzl", "NOT_SANITIZED")

def replay_worker(name, deps = [], local_defines = []):
    """A worker that stands on the malloc that `deps` bring, or on glibc's."""
    native.cc_binary(
        name = name,
        srcs = [
            "counted_replay.h",
            "payload.h",
            "worker.cc",
        ],
        local_defines = local_defines,
        # An instrumented program measures its instruments, and a sanitizer's malloc would be measured for any other.
        target_compatible_with = NOT_SANITIZED,
        deps = [
            "//bench:program",
            "//bench/region:implementations",
            "//bench/region:orders",
            "//bench/region:trace_run",
            "//bench/traces:mapped_trace",
            "//bench/traces:rep_trace",
            "@nlohmann_json//:json",
        ] + deps,
    )

def replay_worker_malloc(malloc, library):
    """A worker for one malloc, `@malloc`, which must come from `library` when it runs."""
    replay_worker(
        name = "replay_worker_" + malloc,
        deps = ["@" + malloc],
        local_defines = [
            "GRANARY_BENCH_MALLOC_ONLY",
            'GRANARY_BENCH_MALLOC_NAME=\\"{}\\"'.format(malloc),
            'GRANARY_BENCH_MALLOC_LIBRARY=\\"{}\\"'.format(library),
        ],
    )

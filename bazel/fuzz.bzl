"""Fuzz targets that every test run exercises, and that libFuzzer drives under --config=fuzz."""

# Named from this repository, whichever one calls the macro.
_FUZZER = str(Label("//bazel:fuzzer"))
_FUZZ_DRIVER = str(Label("//bazel:fuzz_driver"))

def granary_fuzz_test(name, srcs, deps = [], size = "small", **kwargs):
    """A program around LLVMFuzzerTestOneInput, which `srcs` define.

    Under --config=fuzz it is a libFuzzer binary. `bazel run --config=fuzz //x:NAME -- -max_total_time=60 /tmp/corpus` fuzzes; as a test it
    runs a thousand inputs. In every other configuration it is an ordinary test: bazel/fuzz_driver.cc runs the same function on a fixed
    number of seeded random inputs, or on the files named as arguments.

    Args:
      name: the test's name.
      srcs: the sources; one of them defines LLVMFuzzerTestOneInput.
      deps: what they need.
      size: the test's size.
      **kwargs: whatever else a cc_test takes; not `args` or `linkopts`.
    """
    native.cc_test(
        name = name,
        size = size,
        srcs = srcs,
        args = select({
            _FUZZER: ["-runs=1000", "-max_len=4096"],
            "//conditions:default": [],
        }),
        linkopts = select({
            _FUZZER: ["-fsanitize=fuzzer"],
            "//conditions:default": [],
        }),
        deps = deps + select({
            _FUZZER: [],
            "//conditions:default": [_FUZZ_DRIVER],
        }),
        **kwargs
    )

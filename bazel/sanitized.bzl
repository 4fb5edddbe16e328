"""What makes no sense in an instrumented program."""

# For target_compatible_with: the target is skipped under the sanitizers' configurations.
NOT_SANITIZED = select({
    str(Label("//bazel:sanitized")): [str(Label("//bazel:nowhere"))],
    "//conditions:default": [],
})

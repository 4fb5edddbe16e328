"""What granary takes from the machine: installed packages and shims for what Bazel would download."""

load("//bazel:debian_headers.bzl", "debian_headers")
load("//bazel:debian_source.bzl", "debian_source")
load("//bazel:shims.bzl", "bazel_4_shims")
load("//bazel:system_library.bzl", "system_library")

def granary_repositories():
    """The repositories that the library itself needs."""
    bazel_4_shims()
    system_library(
        name = "boost",
        package = "libboost-dev",
        proof = "/usr/include/boost/intrusive/set.hpp",
        libraries = {
            "interprocess": [],
            "intrusive": [],
            "pool": [],
        },
    )
    system_library(
        name = "expected",
        package = "libexpected-dev",
        proof = "/usr/include/tl/expected.hpp",
        libraries = {"expected": []},
    )
    system_library(
        name = "isal",
        package = "libisal-dev",
        proof = "/usr/include/isa-l/crc.h",
        include = "/usr/include/isa-l",
        libraries = {"crc": ["-lisal"]},
    )
    system_library(
        name = "liburing",
        package = "liburing-dev",
        proof = "/usr/include/liburing.h",
        libraries = {"liburing": ["-luring"]},
    )

def granary_dev_repositories():
    """The repositories of granary's own tests and benchmarks."""
    native.new_local_repository(
        name = "googletest",
        path = "/usr/src/googletest",
        build_file = "@granary//bazel:googletest.BUILD",
    )
    _tools()
    _peers()

def _tools():
    system_library(
        name = "rapidcheck",
        package = "librapidcheck-dev",
        proof = "/usr/include/rapidcheck.h",
        libraries = {"rapidcheck": ["-lrapidcheck"]},
    )
    system_library(
        name = "benchmark",
        package = "libbenchmark-dev",
        proof = "/usr/include/benchmark/benchmark.h",
        libraries = {"benchmark": ["-lbenchmark", "-lpthread"]},
    )
    system_library(
        name = "fmt",
        package = "libfmt-dev",
        proof = "/usr/include/fmt/format.h",
        libraries = {"fmt": ["-lfmt"]},
    )
    system_library(
        name = "cli11",
        package = "libcli11-dev",
        proof = "/usr/include/CLI/CLI.hpp",
        libraries = {"cli11": []},
    )
    system_library(
        name = "nlohmann_json",
        package = "nlohmann-json3-dev",
        proof = "/usr/include/nlohmann/json.hpp",
        libraries = {"json": []},
    )
    system_library(
        name = "zlib",
        package = "zlib1g-dev",
        proof = "/usr/include/zlib.h",
        libraries = {"zlib": ["-lz"]},
    )
    system_library(
        name = "zstd",
        package = "libzstd-dev",
        proof = "/usr/include/zstd.h",
        libraries = {"zstd": ["-lzstd"]},
    )

# As its authors release it.
_ROCKSDB_DEFINES = [
    "NDEBUG",
    "OS_LINUX",
    "ROCKSDB_LIB_IO_POSIX",
    "ROCKSDB_MALLOC_USABLE_SIZE",
    "ROCKSDB_PLATFORM_POSIX",
    "ROCKSDB_SCHED_GETCPU_PRESENT",
]

def _peers():
    # The headers of the arenas are private to RocksDB and LevelDB: no binary package has them. Both are built as their authors release
    # them, with NDEBUG, which the distribution's libraries are not; an optimised Bazel build adds -O2.
    debian_source(
        name = "rocksdb_arena",
        package = "rocksdb",
        target = "arena",
        srcs = [
            "memory/arena.cc",
            "memory/concurrent_arena.cc",
            "memtable/alloc_tracker.cc",
            "port/port_posix.cc",
            "util/random.cc",
            "util/string_util.cc",
        ],
        stubs = ["@granary//bazel:rocksdb_arena_stubs.cc"],
        copts = ["-msse4.2", "-std=c++17"],
        defines = _ROCKSDB_DEFINES,
        includes = ["", "include"],
    )

    # The caches could be had from librocksdb-dev; its library checks its assertions at every hit.
    debian_source(
        name = "rocksdb_cache",
        package = "rocksdb",
        target = "cache",
        srcs = [
            "cache/clock_cache.cc",
            "cache/lru_cache.cc",
            "cache/sharded_cache.cc",
            "monitoring/perf_context.cc",
            "monitoring/perf_level.cc",
            "port/port_posix.cc",
            "util/hash.cc",
            "util/status.cc",
            "util/string_util.cc",
            "util/xxhash.cc",
        ],
        copts = ["-msse4.2", "-std=c++17"],
        defines = _ROCKSDB_DEFINES,
        includes = ["", "include"],
    )
    debian_source(
        name = "leveldb_arena",
        package = "leveldb",
        target = "arena",
        srcs = ["util/arena.cc"],
        # No more of its headers: RocksDB has others by the same names, and both arenas are used in one file.
        hdrs = ["util/arena.h"],
        defines = ["NDEBUG"],
    )
    system_library(
        name = "llvm",
        package = "llvm-14-dev",
        proof = "/usr/lib/llvm-14/include/llvm/Support/Allocator.h",
        include = "/usr/lib/llvm-14/include",
        # The static library: what a program takes of it is a few functions, the shared one is 100 MB.
        libraries = {"support": ["-L/usr/lib/llvm-14/lib", "-lLLVMSupport", "-lLLVMDemangle", "-lz", "-ltinfo", "-lpthread", "-ldl"]},
    )
    system_library(
        name = "protobuf",
        package = "libprotobuf-dev",
        proof = "/usr/include/google/protobuf/arena.h",
        libraries = {"protobuf": ["-lprotobuf"]},
    )
    system_library(
        name = "apr",
        package = "libapr1-dev",
        proof = "/usr/include/apr-1.0/apr_pools.h",
        include = "/usr/include/apr-1.0",
        libraries = {"apr": ["-lapr-1"]},
    )
    system_library(
        name = "talloc",
        package = "libtalloc-dev",
        proof = "/usr/include/talloc.h",
        libraries = {"talloc": ["-ltalloc"]},
    )
    system_library(
        name = "foonathan_memory",
        package = "libfoonathan-memory-dev",
        proof = "/usr/include/foonathan_memory/foonathan/memory/memory_pool.hpp",
        include = "/usr/include/foonathan_memory",
        libraries = {"foonathan_memory": ["-lfoonathan_memory"]},
    )

    # libdpdk-dev would install the drivers of all network cards there are.
    debian_headers(
        name = "dpdk",
        package = "librte-mempool-ring23",
        proof = "/usr/lib/x86_64-linux-gnu/librte_mempool_ring.so.23",
        headers_package = "libdpdk-dev",
        target = "mempool",
        includes = ["dpdk", "x86_64-linux-gnu/dpdk"],
        linkopts = [
            # Nobody calls the driver of rings: it registers itself when it is loaded.
            "-Wl,--push-state,--no-as-needed",
            "-l:librte_mempool_ring.so.23",
            "-Wl,--pop-state",
            "-l:librte_mempool.so.23",
            "-l:librte_ring.so.23",
            "-l:librte_eal.so.23",
        ],
    )
    system_library(
        name = "sqlite",
        package = "libsqlite3-dev",
        proof = "/usr/include/sqlite3.h",
        libraries = {"sqlite": ["-lsqlite3"]},
    )
    system_library(
        name = "berkeley_db",
        package = "libdb5.3-dev",
        proof = "/usr/include/db.h",
        libraries = {"berkeley_db": ["-ldb"]},
    )
    system_library(
        name = "lmdb",
        package = "liblmdb-dev",
        proof = "/usr/include/lmdb.h",
        libraries = {"lmdb": ["-llmdb"]},
    )
    system_library(
        name = "mimalloc",
        package = "libmimalloc-dev",
        proof = "/usr/include/mimalloc.h",
        libraries = {"mimalloc": ["-lmimalloc"]},
    )
    system_library(
        name = "jemalloc",
        package = "libjemalloc-dev",
        proof = "/usr/include/jemalloc/jemalloc.h",
        libraries = {"jemalloc": ["-ljemalloc"]},
    )
    system_library(
        name = "tcmalloc",
        package = "libgoogle-perftools-dev",
        proof = "/usr/include/gperftools/tcmalloc.h",
        libraries = {"tcmalloc": ["-ltcmalloc_minimal"]},
    )

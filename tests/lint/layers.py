"""layers.py - who may include whom: server -> api -> pools -> pools/base, and which file may know which library.

PROJECT is the one table of layers: the first row whose pattern matches a file says what it may include. A pattern is a path
where "*" stands for any name without a slash and "**" for anything. LIBRARIES lists every third-party header with the files that may include
it. A header in neither table that is not the C library's is a finding too: new dependencies come in through here.
"""
import re

from source import Finding, is_c, read

# What a backend sees of the house: the contract, and what the contract is made of.
CONTRACT = [f"pools/{name}.h" for name in ("condition", "entry", "fence", "id", "pool", "settings", "upkeep")]
BASE = ["pools/base/*.h"]
# The storage domain as api/ and server/ see it: no backend, none of the chain's insides.
DOMAIN = CONTRACT + BASE + [f"pools/{name}.h" for name in ("hdf5_tool", "kinds", "pool_options", "registry", "secret_names", "state")] + [
    f"pools/chain/{name}.h" for name in ("chain", "expr", "wiring")]

PROJECT = [
    ("pools/base/*", BASE),
    ("pools/memory/*", ["pools/memory/*.h"] + CONTRACT + BASE),
    ("pools/hdf5/vfd/*", ["pools/hdf5/vfd/*.h"] + BASE),
    ("pools/hdf5/tool.c", ["pools/hdf5_tool.h", "pools/hdf5/*.h", "pools/hdf5/vfd/*.h"] + CONTRACT + BASE),
    ("pools/hdf5/*", ["pools/hdf5/*.h", "pools/hdf5/vfd/*.h"] + CONTRACT + BASE),
    ("pools/object_store/*", ["pools/object_store/*.h"] + CONTRACT + BASE),
    ("pools/s3/*", ["pools/s3/*.h", "pools/object_store/*.h"] + CONTRACT + BASE),
    ("pools/chain/*", ["pools/chain/*.h", "pools/registry.h", "pools/state.h"] + CONTRACT + BASE),
    ("pools/kinds.c", ["pools/kinds.h", "pools/*/*_pool.h"] + CONTRACT + BASE),
    ("pools/kinds.h", ["pools/pool.h"]),
    ("pools/pool*.c", ["pools/pool_checks.h", "pools/pool_options.h"] + CONTRACT + BASE),
    ("pools/pool*.h", CONTRACT + BASE),
    ("pools/condition.*", CONTRACT + BASE),
    ("pools/entry.*", CONTRACT + BASE),
    ("pools/fence.*", CONTRACT + BASE),
    ("pools/id.*", CONTRACT + BASE),
    ("pools/settings.*", CONTRACT + BASE),
    ("pools/upkeep.*", CONTRACT + BASE),
    ("pools/*", ["pools/*.h"] + BASE),
    ("api/*", ["api/*.h"] + DOMAIN),
    ("server/*", ["server/*.h", "api/*.h"] + DOMAIN),
    ("tests/**", ["**"]),
]

LIBRARIES = {
    "microhttpd.h": ["server/listener*", "server/exchange*", "server/reply*"],
    "curl/curl.h": ["pools/object_store/*"],
    "hdf5.h": ["pools/hdf5/*", "pools/hdf5/vfd/driver.*"],
    "H5FDdevelop.h": ["pools/hdf5/vfd/driver.c"],
    "sodium.h": ["pools/base/hash.c", "pools/hdf5/vfd/journal*", "server/auth.c", "pools/state*.c", "pools/object_store/sigv4*.c"],
    "sqlite3.h": ["pools/state*.c"],
    "jansson.h": ["api/*", "server/*"],
    "expat.h": ["pools/object_store/*"],
    "openssl/evp.h": ["pools/base/digest.c", "pools/object_store/*"],
    "toml++/toml.h": ["server/toml_shim.cpp"],
    "check.h": ["tests/**"],
}

C_LIBRARY = set("""
assert.h complex.h ctype.h errno.h float.h inttypes.h limits.h locale.h math.h setjmp.h signal.h stdalign.h stdarg.h
stdatomic.h stdbool.h stddef.h stdint.h stdio.h stdlib.h string.h time.h
arpa/inet.h dirent.h endian.h fcntl.h ftw.h getopt.h libgen.h linux/tcp.h malloc.h net/if.h netdb.h netinet/in.h netinet/tcp.h poll.h pthread.h sched.h semaphore.h strings.h
sys/epoll.h sys/eventfd.h sys/file.h sys/ioctl.h sys/mman.h sys/queue.h sys/random.h sys/resource.h sys/signalfd.h sys/socket.h sys/stat.h sys/statvfs.h
sanitizer/tsan_interface.h sys/syscall.h sys/time.h sys/timerfd.h sys/types.h sys/uio.h sys/un.h sys/wait.h syslog.h unistd.h
""".split())
CXX_LIBRARY = {"algorithm", "cstdint", "cstdio", "cstdlib", "cstring", "memory", "string", "string_view"}

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+([<"])([^>"]+)[>"]', re.MULTILINE)


def _pattern(text):
    parts = re.split(r"(\*\*|\*)", text)
    return re.compile("".join({"**": ".*", "*": "[^/]*"}.get(p, re.escape(p)) for p in parts) + r"\Z")


def matches(path, patterns):
    return any(_pattern(p).match(path) for p in patterns)


def _check_project(path, line, header):
    for pattern, allowed in PROJECT:
        if matches(path, [pattern]):
            if matches(header, allowed):
                return []
            return [Finding(path, line, "layers", f"may not include {header}: see PROJECT in tests/lint/layers.py")]
    return [Finding(path, line, "layers", "is in no layer: add it to PROJECT in tests/lint/layers.py")]


def _check_library(path, line, header):
    if header in (C_LIBRARY if is_c(path) else CXX_LIBRARY):
        return []
    if header not in LIBRARIES:
        return [Finding(path, line, "libraries", f"<{header}> is in no table of tests/lint/layers.py")]
    if matches(path, LIBRARIES[header]) or path.startswith("tests/"):
        return []
    return [Finding(path, line, "libraries", f"may not include <{header}>: only {', '.join(LIBRARIES[header])} may")]


def check(root, paths):
    findings = []
    for path in paths:
        if not is_c(path) and not path.endswith(".cpp"):
            continue
        text = read(root, path)
        for match in _INCLUDE.finditer(text):
            line = text.count("\n", 0, match.start(1)) + 1
            quote, header = match.groups()
            findings += (_check_library if quote == "<" else _check_project)(path, line, header)
    return findings

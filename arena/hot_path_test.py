#!/usr/bin/env python3
"""Holds the arena's inlined paths to what arena.h promises of them.

    hot_path_test.py    from the root of the runfiles

Disassembles the functions of testing/hot_path.cc and follows each from its entry to the first `ret`: the way of a request
that fits the block. Then compares two builds of them, without and with the annotations for memory checkers: they are the
same to the instruction.
"""
import os
import re
import subprocess
import sys

PLAIN = "arena/testing/hot_path"
ANNOTATED = "arena/testing/hot_path_annotated"
MEMCHECK_HEADER = "/usr/include/valgrind/memcheck.h"

# Function: instructions at most with the `ret`, stores at most, conditional branches exactly.
PROMISES = {
    "HotAllocate40": (9, 1, 1),
    "HotAllocate40By8": (9, 1, 1),
    "HotAllocateBytes40": (9, 1, 1),
    "HotAllocate": (15, 1, 3),
    "HotAllocateBy8": (12, 1, 1),
    "HotAllocateBytes": (9, 1, 1),
    "HotReset": (10, 4, 1),
}

# Instructions whose last operand, in AT&T syntax, is only read even where it is memory.
READERS = re.compile(r"^(cmp|test|bt[bwlq]?$|u?comis|v?p?test|lea|nop|prefetch|jmp|mul|imul|div|idiv)")
# Instructions that write memory without an operand that says so, or take a lock without a prefix.
FORBIDDEN = re.compile(r"^(lock|push|call|enter|stos|movs[bwlq]?$|rep|xchg|mfence|sfence|lfence|syscall|jmp|ud2|hlt)")


def disassemble(program):
    """Function name to its instructions, addresses taken out: [(mnemonic, operands)]."""
    text = subprocess.run(["objdump", "--disassemble", "--no-show-raw-insn", program], check=True, stdout=subprocess.PIPE).stdout.decode()
    functions = {}
    current = None
    for line in text.splitlines():
        head = re.match(r"^[0-9a-f]+ <(\S+)>:$", line)
        if head:
            current = functions.setdefault(head.group(1), [])
            continue
        body = re.match(r"^\s*[0-9a-f]+:\s+(\S+)\s*(.*?)\s*$", line)
        if body and current is not None:
            # A jump's target is named by its symbol; the address before it is the linker's affair.
            current.append((body.group(1), re.sub(r"\b[0-9a-f]+ (<\S+>)", r"\1", body.group(2))))
    for instructions in functions.values():
        while instructions and re.match(r"^(nop|xchg$|cs$|data16$)", instructions[-1][0]):
            instructions.pop()
    return functions


def stores(mnemonic, operands):
    last = re.split(r",(?![^(]*\))", operands)[-1]
    return "(" in last and not READERS.match(mnemonic)


def is_conditional(mnemonic):
    return mnemonic.startswith("j") and mnemonic != "jmp"


def check_path(name, instructions):
    """The complaints about one function."""
    instructions_max, stores_max, branches = PROMISES[name]
    path = []
    for mnemonic, operands in instructions:
        if mnemonic == "endbr64":  # The mark of an indirect call's target; inlined code has none.
            continue
        path.append((mnemonic, operands))
        if mnemonic == "ret":
            break
    listing = "\n".join(f"    {mnemonic:8}{operands}" for mnemonic, operands in path)
    if not path or path[-1][0] != "ret":
        return [f"{name} never returns:\n{listing}"]

    stored = sum(stores(*instruction) for instruction in path)
    branched = sum(is_conditional(mnemonic) for mnemonic, _ in path)
    print(f"{name}: {len(path)} instructions, {stored} stores, {branched} branches")
    complaints = [f"{name} has '{mnemonic} {operands}' on its way" for mnemonic, operands in path if FORBIDDEN.match(mnemonic)]
    if len(path) > instructions_max:
        complaints.append(f"{name} takes {len(path)} instructions, promised are {instructions_max}")
    if not 1 <= stored <= stores_max:
        complaints.append(f"{name} stores {stored} times, promised are {stores_max}")
    if branched != branches:
        complaints.append(f"{name} branches {branched} times, promised are {branches}")
    return [f"{complaint}:\n{listing}" for complaint in complaints]


def check_annotations(program, expected):
    output = subprocess.run([program], check=True, stdout=subprocess.PIPE).stdout.decode()
    if f"annotations {expected}" not in output:
        return [f"{program} was to be built with annotations {expected}; it says: {output}"]
    return []


def main():
    if os.uname().machine != "x86_64":
        print("skipped: the counts are those of x86-64")
        return
    plain = disassemble(PLAIN)
    annotated = disassemble(ANNOTATED)

    complaints = check_annotations(PLAIN, "off")
    complaints += check_annotations(ANNOTATED, "on" if os.path.exists(MEMCHECK_HEADER) else "off")
    for name in PROMISES:
        if name not in plain or name not in annotated:
            complaints.append(f"{name} is not in both programs")
            continue
        complaints += check_path(name, plain[name])
        if plain[name] != annotated[name]:
            complaints.append(f"{name} is different with annotations")
    if complaints:
        sys.exit("\n".join(complaints))


if __name__ == "__main__":
    main()

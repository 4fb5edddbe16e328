#!/usr/bin/env python3
"""Holds inlined paths to what their headers promise of them.

    hot_path_test.py    from the root of the runfiles

For every FOLDER/testing/hot_path.json there: it names programs of its folder, and of each the functions with what is promised. Disassembles
them and follows every way through each from its entry to a `ret`; a way that calls another function, or jumps into it, is the slow
one and ends there. The longest of what remains is held to the promise, whatever the compiler. An atomic read-modify-write is
nobody's who does not promise how many. A program that has a build named PROGRAM_annotated, with the annotations for memory checkers, is the same to the
instruction there.
"""
import glob
import json
import os
import re
import subprocess
import sys

MEMCHECK_HEADER = "/usr/include/valgrind/memcheck.h"

# Instructions whose last operand, in AT&T syntax, is only read even where it is memory.
READERS = re.compile(r"^(cmp|test|bt[bwlq]?$|u?comis|v?p?test|lea|nop|prefetch|jmp|mul|imul|div|idiv)")
# Instructions that write memory without an operand that says so, or take a lock without a prefix; a push counts as a store.
LOCKED = re.compile(r"^lock")
FORBIDDEN = re.compile(r"^(lock|enter|stos|movs[bwlq]?$|rep|xchg|mfence|sfence|lfence|syscall|hlt)")


def disassemble(program):
    """Function name to its instructions, addresses taken out: [(offset in the function, mnemonic, operands)]."""
    text = subprocess.run(["objdump", "--disassemble", "--no-show-raw-insn", program], check=True, stdout=subprocess.PIPE).stdout.decode()
    functions = {}
    current = None
    start = 0
    for line in text.splitlines():
        head = re.match(r"^([0-9a-f]+) <(\S+)>:$", line)
        if head:
            start = int(head.group(1), 16)
            current = functions.setdefault(head.group(2), [])
            continue
        body = re.match(r"^\s*([0-9a-f]+):\s+(\S+)\s*(.*?)\s*$", line)
        if body and current is not None:
            # A jump's target is named by its symbol; the address before it is the linker's affair.
            operands = re.sub(r"\b[0-9a-f]+ (<\S+>)", r"\1", body.group(3))
            current.append((int(body.group(1), 16) - start, body.group(2), operands))
    for instructions in functions.values():
        while instructions and re.match(r"^(nop|xchg$|cs$|data16$)", instructions[-1][1]):
            instructions.pop()
    return functions


def stores(mnemonic, operands):
    last = re.split(r",(?![^(]*\))", operands)[-1]
    return mnemonic.startswith("push") or "(" in last and not READERS.match(mnemonic)


def stores_elsewhere(mnemonic, operands):
    """As stores, but for the function's own stack."""
    return stores(mnemonic, operands) and not mnemonic.startswith("push") and "%rsp" not in re.split(r",(?![^(]*\))", operands)[-1]


def is_conditional(mnemonic):
    return mnemonic.startswith("j") and mnemonic != "jmp"


def fast_ways(name, instructions):
    """Each way from the entry to a `ret` that stays within the function, as a list of (mnemonic, operands)."""
    index_of = {offset: i for i, (offset, _, _) in enumerate(instructions)}

    def target_of(operands):
        match = re.match(rf"^<{re.escape(name)}(?:\+0x([0-9a-f]+))?>$", operands)
        return index_of[int(match.group(1) or "0", 16)] if match else None

    ways = []
    open_ways = [(0, [])]
    while open_ways:
        i, way = open_ways.pop()
        while i is not None and i < len(instructions):
            _, mnemonic, operands = instructions[i]
            if mnemonic.startswith(("call", "ud2")):
                break
            if mnemonic != "endbr64":  # The mark of an indirect call's target; inlined code has none.
                way = way + [(mnemonic, operands)]
            if len(way) > len(instructions):
                raise RuntimeError(f"{name} loops")
            if mnemonic == "ret":
                ways.append(way)
                break
            if mnemonic == "jmp":
                i = target_of(operands)
                continue
            if is_conditional(mnemonic):
                taken = target_of(operands)
                if taken is not None:
                    open_ways.append((taken, way))
            i += 1
    return ways


def check_ways(name, instructions, promised):
    """The complaints about one function."""
    ways = fast_ways(name, instructions)
    if not ways:
        return [f"{name} never returns without a call:\n" + "\n".join(f"    {m:8}{o}" for _, m, o in instructions)]
    longest = [0, 0, 0, 0]
    complaints = []
    counts_locks = len(promised) == 4
    is_store = stores_elsewhere if counts_locks else stores
    for way in ways:
        counts = (
            len(way),
            sum(is_store(*instruction) and not LOCKED.match(instruction[0]) for instruction in way),
            sum(is_conditional(mnemonic) for mnemonic, _ in way),
            sum(bool(LOCKED.match(mnemonic)) for mnemonic, _ in way),
        )
        longest = [max(pair) for pair in zip(longest, counts)]
        listing = "\n".join(f"    {mnemonic:8}{operands}" for mnemonic, operands in way)
        for mnemonic, operands in way:
            if FORBIDDEN.match(mnemonic) and not (counts_locks and LOCKED.match(mnemonic)):
                complaints.append(f"{name} has '{mnemonic} {operands}' on its way:\n{listing}")
        for what, count, most in zip(("instructions", "stores", "branches", "locked instructions"), counts, promised):
            if count > most:
                complaints.append(f"{name} takes {count} {what}, promised are {most}:\n{listing}")
        if counts[1] == 0 and promised[1] != 0:
            complaints.append(f"{name} stores nothing:\n{listing}")
    if counts_locks and longest[3] != promised[3]:
        complaints.append(f"{name} has at most {longest[3]} locked instructions, promised are {promised[3]}")
    print(f"{name}: {len(ways)} ways; at most {longest[0]} instructions, {longest[1]} stores, {longest[2]} branches, {longest[3]} locked")
    return complaints


def check_annotations(program, expected):
    output = subprocess.run([program], check=True, stdout=subprocess.PIPE).stdout.decode()
    if f"annotations {expected}" not in output:
        return [f"{program} was to be built with annotations {expected}; it says: {output}"]
    return []


def check_program(program, promises):
    """The complaints about one program.

    Of each function: instructions with the `ret`, stores and branches at most; and, where there is a fourth number, so many locked
    instructions on some way and no more on any, and then stores to the stack do not count.
    """
    print(program)
    plain = disassemble(program)
    complaints = check_annotations(program, "off")
    for name, promised in promises.items():
        if name not in plain:
            complaints.append(f"{name} is not in {program}")
            continue
        complaints += check_ways(name, plain[name], promised)
    if os.path.exists(program + "_annotated"):
        annotated = disassemble(program + "_annotated")
        complaints += check_annotations(program + "_annotated", "on" if os.path.exists(MEMCHECK_HEADER) else "off")
        for name in promises:
            if plain.get(name) != annotated.get(name):
                complaints.append(f"{name} of {program} is different with annotations")
    return complaints


def main():
    if os.uname().machine != "x86_64":
        print("skipped: the counts are those of x86-64")
        return
    complaints = []
    files = glob.glob("**/testing/hot_path.json", recursive=True)
    for path in files:
        with open(path, encoding="utf-8") as file:
            programs = json.load(file)
        for program, promises in programs.items():
            complaints += check_program(os.path.join(os.path.dirname(path), program), promises)
    if not files:
        complaints.append("there is no hot_path.json")
    if complaints:
        sys.exit("\n".join(complaints))


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""The corpus's own programs: sources of programs/, each compiled with the flags that make stacks different."""

import pathlib
import shutil
import subprocess

SOURCES = pathlib.Path(__file__).parent / "programs"
LLD = ["-fuse-ld=lld"]
# Name: compiler, flags, sources. Everything is compiled with -g0, so that .eh_frame is all there is.
PROGRAMS = {
    "frames_O0": ("gcc", ["-O0"], ["frames.c"]),
    "frames_O2": ("gcc", ["-O2", "-fomit-frame-pointer"], ["frames.c"]),
    "frames_O2_fp": ("gcc", ["-O2", "-fno-omit-frame-pointer"], ["frames.c"]),
    "frames_O3": ("gcc", ["-O3", "-fno-plt"], ["frames.c"]),
    "frames_Os": ("gcc", ["-Os"], ["frames.c"]),
    "frames_avx2": ("gcc", ["-O3", "-mavx2", "-fno-omit-frame-pointer"], ["frames.c"]),
    "frames_cet": ("gcc", ["-O2", "-fcf-protection=full", "-Wl,-z,ibtplt", "-Wl,-z,lazy"], ["frames.c"]),
    "frames_now": ("gcc", ["-O2", "-Wl,-z,now", "-fstack-protector-all"], ["frames.c"]),
    "frames_args": ("gcc", ["-O2", "-maccumulate-outgoing-args", "-mno-red-zone"], ["frames.c"]),
    "frames_no_pie": ("gcc", ["-O2", "-no-pie", "-Wl,-z,noseparate-code"], ["frames.c"]),
    "frames_gold": ("gcc", ["-O2", "-fuse-ld=gold"], ["frames.c"]),
    "frames_static": ("gcc", ["-O2", "-static", "-Wl,--eh-frame-hdr"], ["frames.c"]),
    "frames_static_pie": ("gcc", ["-O2", "-static-pie"], ["frames.c"]),
    "frames_stack_clash": ("gcc", ["-O2", "-fstack-clash-protection"], ["frames.c"]),
    "frames_clang_O0": ("clang", ["-O0"], ["frames.c"]),
    "frames_clang_O2": ("clang", ["-O2", "-fomit-frame-pointer"], ["frames.c"]),
    "frames_clang_fp": ("clang", ["-O2", "-fno-omit-frame-pointer"], ["frames.c"]),
    "frames_lld": ("clang", ["-O2", *LLD, "-Wl,--rosegment", "-Wl,-z,separate-code"], ["frames.c"]),
    "frames_lld_no_rosegment": ("clang", ["-O3", *LLD, "-Wl,--no-rosegment"], ["frames.c"]),
    "signals": ("gcc", ["-O2"], ["signals.c"]),
    "signals_O0": ("gcc", ["-O0"], ["signals.c"]),
    "signals_clang": ("clang", ["-O2", *LLD], ["signals.c"]),
    "exceptions_O0": ("g++", ["-O0"], ["exceptions.cpp"]),
    "exceptions_O2": ("g++", ["-O2"], ["exceptions.cpp"]),
    "exceptions_lto": ("g++", ["-O3", "-flto", "-static-libstdc++", "-static-libgcc"], ["exceptions.cpp"]),
    "exceptions_clang": ("clang++", ["-O2", *LLD], ["exceptions.cpp"]),
    "by_hand": ("gcc", ["-O2"], ["by_hand.c", "by_hand.S"]),
    "by_hand_clang": ("clang", ["-O2", "-fno-omit-frame-pointer"], ["by_hand.c", "by_hand.S"]),
    "library.so": ("gcc", ["-O2", "-fPIC", "-shared", "-Wl,-z,lazy"], ["library.c", "-lm"]),
    "library_lld.so": ("clang", ["-O1", "-fPIC", "-shared", *LLD, "-Wl,-z,lazy"], ["library.c", "-lm"]),
    "loads": ("gcc", ["-O2"], ["loads.c"]),
    "clock": ("gcc", ["-O2"], ["clock.c"]),
    "fibers": ("gcc", ["-O2"], ["fibers.c"]),
    "fortran": ("gfortran", ["-O2"], ["numbers.f90"]),
    "fortran_O0": ("gfortran", ["-O0"], ["numbers.f90"]),
    "ada": ("gnatmake", ["-q", "-O2"], ["tasks.adb"]),
}
SHORT = ["frames_O2", "frames_O2_fp", "frames_O0", "signals", "exceptions_O2", "by_hand", "loads", "clock",
         "fibers"]


def build(name, folder):
    """None, or why it can't be."""
    compiler, flags, sources = PROGRAMS[name]
    if shutil.which(compiler) is None:
        return f"no {compiler}"
    paths = [word if word.startswith("-") else SOURCES / word for word in sources]
    command = [compiler, *flags, "-g0", *paths[:1], "-o", folder / name, *paths[1:]]
    if compiler == "gnatmake":
        command = [compiler, *flags, "-D", folder, *paths, "-o", folder / name]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return None if result.returncode == 0 else f"doesn't compile: {result.stderr.strip()[-300:]}"


def commands(names, folder):
    """Builds them. Yields name, command or None, reason."""
    needed = [name for name in PROGRAMS if name.endswith(".so")] if "loads" in names else []
    problems = {name: build(name, folder) for name in dict.fromkeys([*names, *needed])}
    for name in names:
        if name.endswith(".so"):
            continue
        libraries = [folder / so for so in problems if so.endswith(".so") and problems[so] is None]
        arguments = [libraries[0], libraries[-1]] if name == "loads" and libraries else []
        problem = problems[name] or (name == "loads" and not libraries and "its libraries don't compile") or None
        yield name, None if problem else [folder / name, *arguments], problem

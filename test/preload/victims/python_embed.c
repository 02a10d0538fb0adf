// SPDX-License-Identifier: Apache-2.0
// Programs that bring an interpreter with them: linked (python_embed), or opened late and for themselves
// alone (python_host).  [python_host LIBRARY…]
//
// Each interpreter is started, runs Python code twice, and is ended; the linked one twice over. The code
// needs no module that isn't part of the interpreter: with RTLD_LOCAL extension modules don't find it.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char* const kCode =
    "import time\n"
    "def inner_of_%d(until):\n"
    "    total = 0\n"
    "    while time.clock_gettime_ns(time.CLOCK_THREAD_CPUTIME_ID) < until:\n"
    "        for i in range(100): total += i\n"
    "    return total\n"
    "def key_of_%d(until):\n"
    "    return sorted([1], key=lambda n: inner_of_%d(until))\n"
    "key_of_%d(time.clock_gettime_ns(time.CLOCK_THREAD_CPUTIME_ID) + 300000000)\n"
    "print('ran', %d, flush=True)\n";

struct interpreter {
  void (*initialize)(int);
  int (*run)(const char*, void*);
  int (*finalize)(void);
};

static void run_all(const struct interpreter* python, int number) {
  char code[1200];
  snprintf(code, sizeof code, kCode, number, number, number, number, number);
  for (int i = 0; i < 2; ++i) {
    if (python->run(code, NULL) != 0) exit(3);
  }
}

#ifdef LINKED
extern void Py_InitializeEx(int);
extern int PyRun_SimpleStringFlags(const char*, void*);
extern int Py_FinalizeEx(void);

int main(void) {
  const struct interpreter python = {Py_InitializeEx, PyRun_SimpleStringFlags, Py_FinalizeEx};
  for (int number = 0; number < 2; ++number) {
    python.initialize(0);
    run_all(&python, number);
    if (python.finalize() != 0) return 4;
  }
  puts("end");
  return 0;
}
#else
static void open_one(struct interpreter* python, const char* library) {
  void* const handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    fprintf(stderr, "%s\n", dlerror());
    exit(2);
  }
  *(void**)&python->initialize = dlsym(handle, "Py_InitializeEx");
  *(void**)&python->run = dlsym(handle, "PyRun_SimpleStringFlags");
  *(void**)&python->finalize = dlsym(handle, "Py_FinalizeEx");
}

// Arguments in pairs: a library, and the folder that is its PYTHONHOME.
int main(int count, char** arguments) {
  struct interpreter pythons[8];
  const int interpreters = (count - 1) / 2;
  for (int i = 0; i < interpreters && i < 8; ++i) {
    open_one(&pythons[i], arguments[1 + 2 * i]);
    setenv("PYTHONHOME", arguments[2 + 2 * i], 1);
    pythons[i].initialize(0);
    run_all(&pythons[i], i);
  }
  for (int i = 0; i < interpreters && i < 8; ++i) run_all(&pythons[i], 10 + i);
  for (int i = 0; i < interpreters && i < 8; ++i) {
    if (pythons[i].finalize() != 0) return 4;
  }
  puts("end");
  return 0;
}
#endif

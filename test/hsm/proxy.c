/*
 * A PKCS#11 library that passes everything on to another, and misbehaves as the file FAULT says, read at each call:
 * "slow <ms>", "hang <seconds>", "error <code>" (the call is made, and its answer replaced), "half <code>" (the
 * second half of an operation never reaches the library), "crash", "unsigned <code>" (as "error", for signatures
 * only). Logins are counted in LOGINS. Compiled by the tests with
 * REAL, FAULT and LOGINS defined as paths.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long rv;
typedef rv (*five)(unsigned long, void *, unsigned long, void *, void *);
typedef rv (*four)(unsigned long, unsigned long, void *, unsigned long);

/* CK_FUNCTION_LIST: a version, then the functions in the order of the standard. */
struct list {
  unsigned char version[2];
  void *call[68];
};
enum { LOGIN = 18, ENCRYPT = 30, DECRYPT = 34, SIGN = 43 };

static struct list ours, *theirs;

static rv pass(int which, unsigned long session, void *in, unsigned long bytes, void *out, void *length) {
  char kind[16] = "none";
  unsigned long amount = 0;
  FILE *file = fopen(FAULT, "r");
  if (file != NULL) {
    if (fscanf(file, "%15s %lu", kind, &amount) < 1) strcpy(kind, "none");
    fclose(file);
  }
  if (strcmp(kind, "half") == 0) return amount;
  if (strcmp(kind, "crash") == 0) *(volatile int *)0 = 1;
  if (strcmp(kind, "unsigned") == 0 && which == SIGN) return amount;
  if (strcmp(kind, "slow") == 0) usleep(amount * 1000);
  if (strcmp(kind, "hang") == 0) sleep(amount);
  rv answer = ((five)theirs->call[which])(session, in, bytes, out, length);
  return strcmp(kind, "error") == 0 ? amount : answer;
}

static rv encrypt(unsigned long s, void *i, unsigned long n, void *o, void *l) { return pass(ENCRYPT, s, i, n, o, l); }
static rv decrypt(unsigned long s, void *i, unsigned long n, void *o, void *l) { return pass(DECRYPT, s, i, n, o, l); }
static rv sign(unsigned long s, void *i, unsigned long n, void *o, void *l) { return pass(SIGN, s, i, n, o, l); }

static rv login(unsigned long session, unsigned long user, void *pin, unsigned long bytes) {
  FILE *file = fopen(LOGINS, "a");
  if (file != NULL) {
    fputs("login\n", file);
    fclose(file);
  }
  return ((four)theirs->call[LOGIN])(session, user, pin, bytes);
}

rv C_GetFunctionList(struct list **out) {
  void *library = dlopen(REAL, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) return 5;
  rv (*get)(struct list **) = (rv (*)(struct list **))dlsym(library, "C_GetFunctionList");
  rv answer = get(&theirs);
  if (answer != 0) return answer;
  ours = *theirs;
  ours.call[LOGIN] = login;
  ours.call[ENCRYPT] = encrypt;
  ours.call[DECRYPT] = decrypt;
  ours.call[SIGN] = sign;
  *out = &ours;
  return 0;
}

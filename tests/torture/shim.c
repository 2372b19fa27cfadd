/* Fails chosen calls of the C library on files below a folder, as full, slow or broken disks do; see faults.py.
   Built as a shared library, loaded by LD_PRELOAD, armed and asked by ctypes from inside the process. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITE = 1, FSYNC = 2, RENAME = 4, LINK = 8, OPEN = 16, MKDIR = 32, CLOSE = 64, UNLINK = 128 };
static char below[PATH_MAX];
static long counted[129], wanted;  /* calls seen, by kind; the one that fails, 0 for none */
static int kinds, error, sticky, is_short, failed, log_fd = -1;
static __thread char seen[PATH_MAX];  /* the path last looked at */

void shim_arm(const char *folder, int kinds_, long n, int error_, int sticky_, int short_) {
  snprintf(below, sizeof below, "%s", folder);
  kinds = kinds_, wanted = n, error = error_, sticky = sticky_, is_short = short_, failed = 0;
  memset(counted, 0, sizeof counted);
}
void shim_log(const char *path) { log_fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644) : -1; }
long shim_counted(int kind) { return counted[kind]; }
int shim_failed(void) { return failed; }

static int of_ours(const char *path) {
  if (!below[0] || !path || strncmp(path, below, strlen(below))) return 0;
  if (path != seen) snprintf(seen, sizeof seen, "%s", path);
  return 1;
}
static int fd_of_ours(int fd) {
  char link[64];
  if (!below[0]) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, seen, sizeof seen - 1);
  if (n <= 0) return 0;
  seen[n] = 0;
  return of_ours(seen);
}
static int fails(int kind, int ours) {
  if (!ours) return 0;
  long n = __sync_add_and_fetch(&counted[kind], 1);
  if (log_fd >= 0) dprintf(log_fd, "%d %s\n", kind, seen + strlen(below));
  if (!(kinds & kind) || !wanted || !(n == wanted || (sticky && n > wanted))) return 0;
  failed = 1;
  return 1;
}
static int is_there(int folder, const char *path) { return !faccessat(folder, path, F_OK, AT_SYMLINK_NOFOLLOW); }
#define REAL(name) static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)
#define FAIL return errno = error, -1

ssize_t write(int fd, const void *data, size_t n) {
  REAL(write);
  if (fails(WRITE, fd_of_ours(fd))) { if (is_short && n > 1) return real(fd, data, n / 2); if (!is_short) FAIL; }
  return real(fd, data, n);
}
ssize_t pwrite(int fd, const void *data, size_t n, off_t at) {
  REAL(pwrite);
  if (fails(WRITE, fd_of_ours(fd))) { if (is_short && n > 1) return real(fd, data, n / 2, at); if (!is_short) FAIL; }
  return real(fd, data, n, at);
}
ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at) {
  REAL(pwrite64);
  if (fails(WRITE, fd_of_ours(fd))) { if (is_short && n > 1) return real(fd, data, n / 2, at); if (!is_short) FAIL; }
  return real(fd, data, n, at);
}
ssize_t writev(int fd, const struct iovec *parts, int n) {
  REAL(writev);
  if (!is_short && fails(WRITE, fd_of_ours(fd))) FAIL;
  return real(fd, parts, n);
}
size_t fwrite(const void *data, size_t size, size_t n, FILE *stream) {  /* numpy's tofile */
  REAL(fwrite);
  if (!is_short && fails(WRITE, fd_of_ours(fileno(stream)))) return errno = error, 0;
  return real(data, size, n, stream);
}
int posix_fallocate(int fd, off_t at, off_t n) {  /* gives the error, and leaves errno alone */
  REAL(posix_fallocate); if (!is_short && fails(WRITE, fd_of_ours(fd))) return error; return real(fd, at, n);
}
int posix_fallocate64(int fd, off64_t at, off64_t n) {
  REAL(posix_fallocate64); if (!is_short && fails(WRITE, fd_of_ours(fd))) return error; return real(fd, at, n);
}
int ftruncate(int fd, off_t n) { REAL(ftruncate); if (!is_short && fails(WRITE, fd_of_ours(fd))) FAIL; return real(fd, n); }
int ftruncate64(int fd, off64_t n) {
  REAL(ftruncate64); if (!is_short && fails(WRITE, fd_of_ours(fd))) FAIL; return real(fd, n);
}
int close(int fd) {  /* where a network file system tells what became of the writes; the descriptor is gone all the same */
  REAL(close);
  int flags = below[0] ? fcntl(fd, F_GETFL) : -1;
  int failing = flags >= 0 && (flags & O_ACCMODE) != O_RDONLY && fails(CLOSE, fd_of_ours(fd));
  int done = real(fd);
  if (failing) FAIL;
  return done;
}
int unlink(const char *path) { REAL(unlink); if (fails(UNLINK, of_ours(path) && is_there(AT_FDCWD, path))) FAIL; return real(path); }
int rmdir(const char *path) { REAL(rmdir); if (fails(UNLINK, of_ours(path))) FAIL; return real(path); }
int unlinkat(int fd, const char *path, int flags) {  /* shutil.rmtree names it within its folder */
  REAL(unlinkat); if (fails(UNLINK, (of_ours(path) || fd_of_ours(fd)) && is_there(fd, path))) FAIL; return real(fd, path, flags);
}
int fsync(int fd) { REAL(fsync); if (fails(FSYNC, fd_of_ours(fd))) FAIL; return real(fd); }
int rename(const char *a, const char *b) { REAL(rename); if (fails(RENAME, of_ours(b))) FAIL; return real(a, b); }
int renameat(int x, const char *a, int y, const char *b) {
  REAL(renameat); if (fails(RENAME, of_ours(b))) FAIL; return real(x, a, y, b);
}
int link(const char *a, const char *b) { REAL(link); if (fails(LINK, of_ours(b))) FAIL; return real(a, b); }
int linkat(int x, const char *a, int y, const char *b, int f) {
  REAL(linkat); if (fails(LINK, of_ours(b))) FAIL; return real(x, a, y, b, f);
}
int mkdir(const char *path, mode_t mode) {
  REAL(mkdir); if (fails(MKDIR, of_ours(path) && !is_there(AT_FDCWD, path))) FAIL; return real(path, mode);
}
int mkdirat(int fd, const char *path, mode_t mode) {
  REAL(mkdirat); if (fails(MKDIR, of_ours(path) && !is_there(fd, path))) FAIL; return real(fd, path, mode);
}
#define OPENS(name, ...) \
  mode_t mode = 0; if (flags & (O_CREAT | O_TMPFILE)) { va_list l; va_start(l, flags); mode = va_arg(l, mode_t); va_end(l); } \
  REAL(name); if ((flags & O_CREAT) && fails(OPEN, of_ours(path))) FAIL; return real(__VA_ARGS__, flags, mode)
int open(const char *path, int flags, ...) { OPENS(open, path); }
int open64(const char *path, int flags, ...) { OPENS(open64, path); }
int openat(int fd, const char *path, int flags, ...) { OPENS(openat, fd, path); }
int openat64(int fd, const char *path, int flags, ...) { OPENS(openat64, fd, path); }

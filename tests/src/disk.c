/* The disk under the journals of a process that it is preloaded into: a directory holds of each what a disk holds that kept
 * only what was synced. The sync with a given number fails, and what it should have written is dropped, as Linux does: later
 * syncs don't write it. Or the process dies as it begins. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RANGES 4096

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
/* What was written to the journal and not synced. There is one journal in these tests. */
static struct { off_t from, to; } dirty[RANGES];
static int ranges, syncs;

static int number(const char *name) {
    const char *value = getenv(name);
    return value ? atoi(value) : 0;
}

/* The copy of a journal; NULL of another file. */
static int is_journal(int file, char *copy, size_t size) {
    char link[64], path[1024];
    const char *disk = getenv("SIMPLE_SOURCING_DISK");
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (!disk || length < 4 || memcmp(path + length - 4, ".jnl", 4))
        return 0;
    path[length] = 0;
    snprintf(copy, size, "%s%s", disk, strrchr(path, '/'));
    return 1;
}

ssize_t write(int file, const void *bytes, size_t length) {
    ssize_t (*real)(int, const void *, size_t) = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    char copy[2048];
    if (!is_journal(file, copy, sizeof copy))
        return real(file, bytes, length);
    pthread_mutex_lock(&mutex);
    struct stat status;
    fstat(file, &status);
    off_t at = fcntl(file, F_GETFL) & O_APPEND ? status.st_size : lseek(file, 0, SEEK_CUR);
    ssize_t written = real(file, bytes, length);
    if (ranges == RANGES)
        abort();
    if (written > 0) {
        dirty[ranges].from = at;
        dirty[ranges++].to = at + written;
    }
    pthread_mutex_unlock(&mutex);
    return written;
}

static int sync_by(int file, const char *name) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    char copy[2048];
    if (!is_journal(file, copy, sizeof copy))
        return real(file);
    pthread_mutex_lock(&mutex);
    int nth = strcmp(name, "fdatasync") ? 0 : ++syncs;
    if (nth && nth == number("SIMPLE_SOURCING_DISK_DIES_AT"))
        kill(getpid(), SIGKILL);
    int result = 0;
    if (nth && nth == number("SIMPLE_SOURCING_DISK_FAILS_AT")) {
        errno = EIO;
        result = -1;
    } else {
        result = real(file);
        char link[64], *bytes;
        struct stat status;
        snprintf(link, sizeof link, "/proc/self/fd/%d", file);
        int from = open(link, O_RDONLY | O_CLOEXEC), to = open(copy, O_CREAT | O_RDWR | O_CLOEXEC, 0644);
        for (int range = 0; range < ranges; range++) {
            size_t length = dirty[range].to - dirty[range].from;
            bytes = malloc(length);
            ssize_t read = pread(from, bytes, length, dirty[range].from);
            if (read > 0 && pwrite(to, bytes, read, dirty[range].from) != read)
                abort();
            free(bytes);
        }
        fstat(file, &status);
        if (ftruncate(to, status.st_size))
            abort();
        close(from);
        close(to);
    }
    ranges = 0;
    pthread_mutex_unlock(&mutex);
    return result;
}

int fsync(int file) { return sync_by(file, "fsync"); }

int fdatasync(int file) { return sync_by(file, "fdatasync"); }

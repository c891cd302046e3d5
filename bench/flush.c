/*
 * Loaded into Postgres before the C library: each fdatasync takes DELAY_NS longer, as on a disk over a network.
 *
 * On Linux Postgres flushes its log by fdatasync and holds the lock of the log meanwhile, so writers wait and share flushes as they
 * would there. The flush itself is still done. Data files are flushed by fsync, which stays as it is.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <time.h>

int fdatasync(int file)
{
    static int (*flush)(int);
    if (!flush)
        flush = (int (*)(int)) dlsym(RTLD_NEXT, "fdatasync");
    int outcome = flush(file);
    int error = errno;
    struct timespec rest = {0, DELAY_NS};
    while (nanosleep(&rest, &rest) == -1 && errno == EINTR)
        ;
    errno = error;
    return outcome;
}

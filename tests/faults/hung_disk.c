// Lets nothing be written to the disk for good while the file named by HUNG_DISK_FILE is there.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static void wait_while_it_hangs(void) {
    const char *file = getenv("HUNG_DISK_FILE");
    while (file && access(file, F_OK) == 0) usleep(50000);
}

int fsync(int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    wait_while_it_hangs();
    return real(fd);
}

int fdatasync(int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    wait_while_it_hangs();
    return real(fd);
}

#include "temporary.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/bytes.h"

const char *kv_temporary_folder(void)
{
    const char *folder = getenv("TMPDIR");
    return folder && *folder ? folder : "/var/tmp";
}

int kv_temporary_fd(void)
{
    int fd = open(kv_temporary_folder(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    KV_AUTO_TEXT char *path = kv_text_format("%s/kvp11-XXXXXX", kv_temporary_folder());
    fd = path ? mkostemp(path, O_CLOEXEC) : -1;
    if (fd >= 0)
        unlink(path);
    return fd;
}

FILE *kv_temporary_file(void)
{
    int fd = kv_temporary_fd();
    FILE *file = fd >= 0 ? fdopen(fd, "w+") : NULL;
    if (!file && fd >= 0)
        close(fd);
    return file;
}

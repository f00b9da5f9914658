/* Runs a target over files and folders of files: each as it is, cut short, and with single bytes changed. Last line: how many inputs that were.
 *
 *     fuzz_<name> FILE|FOLDER... */
#include "fuzz.h"

#include <dirent.h>
#include <sys/stat.h>

enum { CUTS = 256, CHANGES = 512 };

static unsigned long inputs;

static void run(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    MUST(copy);
    memcpy(copy, data, size);
    (void)LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    inputs++;
}

static void run_all(uint8_t *data, size_t size)
{
    static const uint8_t changes[] = { 0, 1, '"', '{', ':', '\n', 0x80, 0xff };
    run(data, size);
    size_t step = size / CUTS + 1;
    for (size_t cut = 0; cut < size; cut += step)
        run(data, cut);
    step = size / CHANGES + 1;
    for (size_t at = 0; at < size; at += step) {
        uint8_t before = data[at];
        data[at] = changes[at / step % sizeof changes];
        run(data, size);
        data[at] = before;
    }
}

static void run_file(const char *path)
{
    FILE *file = fopen(path, "rbe");
    if (!file) {
        perror(path);
        exit(1);
    }
    uint8_t *data = malloc(1 << 20);
    MUST(data);
    size_t size = fread(data, 1, 1 << 20, file);
    fclose(file);
    run_all(data, size);
    free(data);
}

static void run_folder(const char *path)
{
    struct dirent **names;
    int count = scandir(path, &names, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char whole[4096];
        snprintf(whole, sizeof whole, "%s/%s", path, names[i]->d_name);
        if (names[i]->d_name[0] != '.')
            run_file(whole);
        free(names[i]);
    }
    if (count >= 0)
        free(names);
}

int main(int count, char **arguments)
{
    if (LLVMFuzzerInitialize)
        (void)LLVMFuzzerInitialize(&count, &arguments);
    for (int i = 1; i < count; i++) {
        struct stat info;
        if (!stat(arguments[i], &info) && S_ISDIR(info.st_mode))
            run_folder(arguments[i]);
        else
            run_file(arguments[i]);
    }
    printf("%lu inputs\n", inputs);
    return inputs ? 0 : 1; /* a test that replayed nothing is none */
}

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <openssl/evp.h>
#include "util.h"

void em_die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("kvp11-emulator: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

void *em_alloc(size_t size)
{
    void *memory = calloc(1, size ? size : 1);
    if (!memory)
        em_die("out of memory");
    return memory;
}

void *em_grow(void *array, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return array;
    *room = *room ? *room * 2 : 8;
    void *grown = reallocarray(array, *room, size);
    if (!grown)
        em_die("out of memory");
    return grown;
}

char *em_copy(const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        em_die("out of memory");
    return copy;
}

char *em_format(const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int length = vasprintf(&text, format, args);
    va_end(args);
    if (length < 0)
        em_die("out of memory");
    return text;
}

json_t *em_json(json_t *json)
{
    if (!json)
        em_die("out of memory, or text that is not UTF-8");
    return json;
}

bool em_same(const char *a, const char *b)
{
    return strcasecmp(a, b) == 0;
}

bool em_starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool em_listed(const char *list, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = list; *at; at += strcspn(at, ","), at += *at == ',') {
        if (strcspn(at, ",") == length && strncmp(at, word, length) == 0)
            return true;
    }
    return false;
}

static void random_bytes(unsigned char *out, size_t length)
{
    if (!em_random(out, length))
        em_die("the random generator failed");
}

static void guid_print(const unsigned char b[16], char ret[EM_GUID_SIZE])
{
    snprintf(ret, EM_GUID_SIZE, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
             b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

static void guid_mark(unsigned char b[16], unsigned version)
{
    b[6] = (unsigned char)((b[6] & 0x0f) | version << 4);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
}

void em_guid(char ret[EM_GUID_SIZE])
{
    unsigned char bytes[16];
    random_bytes(bytes, sizeof(bytes));
    guid_mark(bytes, 4);
    guid_print(bytes, ret);
}

void em_guid_timed(char ret[EM_GUID_SIZE])
{
    unsigned char bytes[16];
    random_bytes(bytes, sizeof(bytes));
    guid_mark(bytes, 1);
    guid_print(bytes, ret);
}

void em_guid_of(const char *text, char ret[EM_GUID_SIZE])
{
    unsigned char digest[EVP_MAX_MD_SIZE] = { 0 };
    if (!EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL))
        em_die("SHA-256 failed");
    guid_mark(digest, 4);
    guid_print(digest, ret);
}

void em_hex_random(char *ret, size_t digits)
{
    unsigned char byte = 0;
    for (size_t i = 0; i < digits; i++) {
        if (i % 2 == 0)
            random_bytes(&byte, 1);
        ret[i] = "0123456789abcdef"[i % 2 ? byte & 15 : byte >> 4];
    }
    ret[digits] = '\0';
}

void em_unescape(char *text, bool plus)
{
    char *to = text;
    for (const char *from = text; *from; from++) {
        unsigned value;
        if (*from == '%' && isxdigit((unsigned char)from[1]) && isxdigit((unsigned char)from[2]) &&
            sscanf(from + 1, "%2x", &value) == 1 && value) {
            *to++ = (char)value;
            from += 2;
            continue;
        }
        *to++ = plus && *from == '+' ? ' ' : *from;
    }
    *to = '\0';
}

char *em_lower(char *text)
{
    for (char *at = text; *at; at++)
        *at = (char)tolower((unsigned char)*at);
    return text;
}

static bool duration_part(char unit, bool time, int value, struct tm *when)
{
    const struct {
        char unit;
        bool time;
        int *field;
        int factor;
    } parts[] = {
        { 'Y', false, &when->tm_year, 1 }, { 'M', false, &when->tm_mon, 1 },
        { 'W', false, &when->tm_mday, 7 }, { 'D', false, &when->tm_mday, 1 },
        { 'H', true, &when->tm_hour, 1 },  { 'M', true, &when->tm_min, 1 },
        { 'S', true, &when->tm_sec, 1 },
    };
    for (size_t i = 0; i < EM_COUNT(parts); i++) {
        if (parts[i].unit != unit || parts[i].time != time)
            continue;
        *parts[i].field += value * parts[i].factor;
        return true;
    }
    return false;
}

bool em_duration_add(const char *duration, int64_t from, int64_t *ret)
{
    time_t start = (time_t)from;
    struct tm when;
    bool time = false, any = false;
    if (*duration++ != 'P' || !gmtime_r(&start, &when))
        return false;
    while (*duration) {
        if (*duration == 'T' && !time) {
            time = true;
            duration++;
            continue;
        }
        int value = 0, used = 0;
        char unit = 0;
        if (!isdigit((unsigned char)*duration) || sscanf(duration, "%5d%c%n", &value, &unit, &used) != 2 ||
            !duration_part(unit, time, value, &when))
            return false;
        duration += used;
        any = true;
    }
    *ret = timegm(&when);
    return any;
}

char *em_file_read(const char *path, size_t *ret_len)
{
    AUTO_FILE file = fopen(path, "re");
    struct stat info;
    if (!file || fstat(fileno(file), &info) != 0)
        return NULL;
    char *data = em_alloc((size_t)info.st_size + 1);
    size_t length = fread(data, 1, (size_t)info.st_size, file);
    data[length] = '\0';
    if (ret_len)
        *ret_len = length;
    return data;
}

static bool write_all(int fd, const char *data, size_t length)
{
    while (length) {
        ssize_t done = write(fd, data, length);
        if (done < 0 && errno != EINTR)
            return false;
        if (done > 0) {
            data += done;
            length -= (size_t)done;
        }
    }
    return true;
}

static bool folder_sync(const char *path)
{
    AUTO_TEXT copy = em_copy(path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool ok = fsync(fd) == 0;
    close(fd);
    return ok;
}

bool em_file_write(const char *path, const char *data, unsigned mode, bool durable)
{
    AUTO_TEXT beside = em_format("%s.new", path);
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0)
        return false;
    bool ok = write_all(fd, data, strlen(data)) && (!durable || fsync(fd) == 0);
    ok = close(fd) == 0 && ok && rename(beside, path) == 0;
    if (!ok) {
        int why = errno;
        unlink(beside);
        errno = why;
        return false;
    }
    return !durable || folder_sync(path);
}

bool em_folder_make(const char *path)
{
    AUTO_TEXT copy = em_copy(path);
    for (char *at = copy + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        if (mkdir(copy, 0700) != 0 && errno != EEXIST)
            return false;
        *at = '/';
    }
    return mkdir(copy, 0700) == 0 || errno == EEXIST;
}

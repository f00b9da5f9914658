#include "certificate_file.h"

#include "base/file.h"

enum { FILE_MAX = 1 << 20 };

enum kv_status kv_cms_certificate_file(const char *path, struct kv_certificate **ret, struct kv_error *err)
{
    struct kv_file_rule rule = { .largest = FILE_MAX, .status = KV_ARGUMENTS };
    KV_AUTO_BYTES struct kv_bytes file = { 0 }, der = { 0 };
    KV_TRY(kv_file_read(path, &rule, &file, err));
    struct kv_view rest = KV_VIEW(file);
    KV_TRY(kv_x509_next(&rest, &der, err));
    if (!der.len)
        return kv_fail(err, KV_BAD_DATA, "'%s' has no certificate in it", path);
    return kv_certificate_new(KV_VIEW(der), ret, err);
}

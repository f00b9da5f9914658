/* The certificate that a person names by its file: PEM or DER, the first one in it. */
#ifndef KV_TOOLS_CMS_CERTIFICATE_FILE_H
#define KV_TOOLS_CMS_CERTIFICATE_FILE_H

#include "keys/certificate.h"

/* The file must be one that nobody else can change: see base/file.h. KV_BAD_DATA: there is none in it. */
KV_MUST_USE enum kv_status kv_cms_certificate_file(const char *path, struct kv_certificate **ret,
                                                   struct kv_error *err);

#endif

#include "matrix_session.h"

#include "keys_help.h"

static const struct curve *curve_named(const char *name)
{
    for (size_t i = 0; name && i < COUNT(curves); i++)
        if (!strcmp(curves[i].name, name))
            return &curves[i];
    return NULL;
}

static void name(struct growing *template, const char *label, const char *id)
{
    if (label)
        grow(template, CKA_LABEL, label, strlen(label));
    if (id)
        grow(template, CKA_ID, id, strlen(id));
}

void matrix_session_pair(struct matrix_key *key, const char *label, const char *id)
{
    const struct curve *curve = curve_named(key->curve);
    struct growing open = { .count = 0 }, shut = { .count = 0 };
    grow_public(&open, key->pkey, curve);
    name(&open, label, id);
    key->open = create(key->session, &open);
    grow_private(&shut, key->pkey, curve);
    grow_bool(&shut, CKA_SENSITIVE, CK_FALSE);
    grow_bool(&shut, CKA_EXTRACTABLE, CK_TRUE);
    name(&shut, label, id);
    key->shut = create(key->session, &shut);
}

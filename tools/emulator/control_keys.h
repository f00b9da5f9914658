/* The part of the control API that works on keys. */
#ifndef EM_CONTROL_KEYS_H
#define EM_CONTROL_KEYS_H

#include "world.h"

enum { CONTROL_PARTS = 3 };

struct em_control {
    struct em_world *world;
    const struct em_request *request;
    struct em_reply *reply;
    json_t *body;                  /* NULL: none */
    char part[CONTROL_PARTS][160]; /* what the pattern's stars stood for */
};

/* Both in control.c. */
void em_control_fail(struct em_control *control, int status, const char *text);
void em_control_ok(struct em_control *control);

/* POST /vaults/{vault}/keys/{name}/{verb}: as the service does it, without token and without latency. */
void em_control_key(struct em_control *control);
/* POST /vaults/{vault}/certificates/{name}/{verb}: the same with certificates; create without a policy renews. */
void em_control_certificate(struct em_control *control);
/* PATCH /vaults/{vault}/keys/{name}/{version}: attributes, `created` and key_ops too; null removes. */
void em_control_patch(struct em_control *control);
/* POST /vaults/{vault}/bulk */
void em_control_bulk(struct em_control *control);

#endif

/* Rotation policies. Contract §6, "Rotation policy body". The emulator keeps and checks them and applies expiryTime; it
 * does not rotate by itself: POST …/rotate does. */
#include <string.h>
#include "handlers.h"
#include "persist.h"

enum { DAY = 86400, MIN_EXPIRY_DAYS = 28, MIN_ROTATE_DAYS = 7, MIN_ROTATE_DAYS_HSM = 28 };

/* { trigger: { name: duration }, action: { type } } */
static json_t *action_make(const char *trigger, const char *duration, const char *type)
{
    return em_json(json_pack("{s:{s:s}, s:{s:s}}", "trigger", trigger, duration, "action", "type", type));
}

static json_t *show(const struct em_call *call, const char *name, const struct em_rotation *rotation)
{
    json_t *attributes = em_json(json_object()), *actions = NULL;
    if (rotation->expiry)
        json_object_set_new(attributes, "expiryTime", em_json(json_string(rotation->expiry)));
    if (rotation->actions) {
        json_object_set_new(attributes, "created", json_integer(rotation->created));
        json_object_set_new(attributes, "updated", json_integer(rotation->updated));
        actions = json_deep_copy(rotation->actions);
    } else {
        actions = json_array();
        if (!call->vault->hsm)
            json_array_append_new(actions, action_make("timeBeforeExpiry", "P30D", "Notify"));
    }
    return em_json(json_pack("{s:o, s:o, s:o}", "id",
                             json_sprintf("%s/keys/%s/rotationpolicy", call->base, name), "lifetimeActions",
                             actions, "attributes", attributes));
}

bool em_policy_get(struct em_call *call)
{
    READ_STORE(&call->world->store);
    const struct em_key *key = em_store_live(call->vault, call->name, call->now_ms);
    if (!key)
        return em_call_not_found(call);
    em_call_json(call, show(call, key->name, &key->rotation));
    return true;
}

struct policy { /* as it is being read */
    json_t *actions;
    const char *expiry;
    int64_t expiry_days; /* 0: none */
    bool rotates, notifies;
};

static int64_t days(const char *duration, int64_t now)
{
    int64_t end;
    return duration && em_duration_add(duration, now, &end) ? (end - now) / DAY : -1;
}

static bool bad(struct em_call *call, const char *why)
{
    return em_call_fail(call, EM_POLICY_BAD, why);
}

static bool check_rotate(struct em_call *call, const struct policy *policy, const char *after, int64_t span)
{
    int64_t least = call->vault->hsm ? MIN_ROTATE_DAYS_HSM : MIN_ROTATE_DAYS;
    if (after)
        return span >= least ? true : bad(call, "the rotation interval after creation is too short.");
    if (!policy->expiry)
        return bad(call, "timeBeforeExpiry needs an expiryTime.");
    if (call->vault->hsm ? policy->expiry_days - span < least : span < least)
        return bad(call, "the rotation time before expiry is out of range.");
    return true;
}

static bool read_action(struct em_call *call, const json_t *item, struct policy *policy)
{
    const json_t *trigger = json_object_get(item, "trigger");
    const char *type = json_string_value(json_object_get(json_object_get(item, "action"), "type"));
    const char *after = json_string_value(json_object_get(trigger, "timeAfterCreate"));
    const char *before = json_string_value(json_object_get(trigger, "timeBeforeExpiry"));
    bool rotate = type && em_same(type, "Rotate"), notify = type && em_same(type, "Notify");
    int64_t span = days(after ? after : before, call->now);
    if ((!rotate && !notify) || (notify && call->vault->hsm))
        return bad(call, "an action is neither Rotate nor Notify.");
    if ((rotate && policy->rotates) || (notify && policy->notifies))
        return bad(call, "only one action of each type is allowed.");
    if (!after == !before || span < 0)
        return bad(call,
                   "a trigger needs one of timeAfterCreate and timeBeforeExpiry, as an ISO 8601 duration.");
    if (notify && after)
        return bad(call, "Notify takes timeBeforeExpiry only.");
    if (rotate && !check_rotate(call, policy, after, span))
        return false;
    policy->rotates |= rotate;
    policy->notifies |= notify;
    const char *shown = notify ? "Notify" : call->vault->hsm ? "rotate" : "Rotate";
    json_array_append_new(policy->actions, action_make(after ? "timeAfterCreate" : "timeBeforeExpiry",
                                                       after ? after : before, shown));
    return true;
}

static bool read_policy(struct em_call *call, struct policy *policy)
{
    const json_t *actions = json_object_get(call->body, "lifetimeActions");
    const json_t *attributes = json_object_get(call->body, "attributes");
    size_t i;
    json_t *item;
    if ((actions && !json_is_array(actions)) ||
        !em_call_text(call, attributes, "expiryTime", &policy->expiry))
        return actions && !json_is_array(actions) ? bad(call, "lifetimeActions is not a list.") : false;
    if (policy->expiry && !*policy->expiry)
        policy->expiry = NULL;
    policy->expiry_days = policy->expiry ? days(policy->expiry, call->now) : 0;
    if (policy->expiry && policy->expiry_days < MIN_EXPIRY_DAYS)
        return bad(call, "expiryTime must be an ISO 8601 duration of at least 28 days.");
    json_array_foreach(actions, i, item)
    {
        if (!read_action(call, item, policy))
            return false;
    }
    bool nothing = !json_array_size(actions) && !policy->expiry;
    if (!call->vault->hsm && !policy->notifies && !nothing)
        json_array_append_new(policy->actions, action_make("timeBeforeExpiry", "P30D", "Notify"));
    return true;
}

static void replace(struct em_rotation *rotation, const struct policy *policy, int64_t now)
{
    int64_t created = rotation->actions ? rotation->created : now;
    json_decref(rotation->actions);
    free(rotation->expiry);
    *rotation = (struct em_rotation){ 0 };
    if (!json_array_size(policy->actions) && !policy->expiry)
        return;
    rotation->actions = json_incref(policy->actions);
    rotation->expiry = policy->expiry ? em_copy(policy->expiry) : NULL;
    rotation->created = created;
    rotation->updated = now;
}

bool em_policy_put(struct em_call *call)
{
    struct em_store *store = &call->world->store;
    AUTO_JSON actions = em_json(json_array());
    struct policy policy = { .actions = actions };
    if (!read_policy(call, &policy))
        return false;
    WRITE_STORE(store);
    struct em_key *key = em_store_live(call->vault, call->name, call->now_ms);
    if (!key)
        return em_call_not_found(call);
    replace(&key->rotation, &policy, call->now);
    json_t *shown = show(call, key->name, &key->rotation);
    return em_call_saved(call, key, shown);
}

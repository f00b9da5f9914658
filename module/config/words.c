#include "settings.h"

#include <string.h>

bool kv_word_is_made_of(const char *text, const char *marks, size_t most)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

    if (!*text || strlen(text) > most)
        return false;
    for (; *text; text++)
        if (!strchr(letters, *text) && !strchr(marks, *text))
            return false;
    return true;
}

void kv_words_free(struct kv_pair_list *list)
{
    if (!list)
        return;
    for (size_t i = 0; i < list->count; i++)
        kv_text_free(list->items[i]);
    free(list->items);
    *list = (struct kv_pair_list){ 0 };
}

static enum kv_status append(struct kv_pair_list *list, const char *word, size_t len)
{
    char **items = reallocarray(list->items, list->count + 1, sizeof *items);

    if (!items)
        return KV_NO_MEMORY;
    list->items = items;
    items[list->count] = kv_text_copy_n(word, len);
    if (!items[list->count])
        return KV_NO_MEMORY;
    list->count++;
    return KV_OK;
}

enum kv_status kv_words_split(const char *text, const char *separators, struct kv_pair_list *ret)
{
    KV_CLEANUP(kv_words_free) struct kv_pair_list list = { 0 };

    while (*(text += strspn(text, separators))) {
        size_t len = strcspn(text, separators);
        KV_TRY(append(&list, text, len));
        text += len;
    }
    *ret = list;
    list = (struct kv_pair_list){ 0 };
    return KV_OK;
}

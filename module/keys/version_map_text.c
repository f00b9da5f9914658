/* The statements of the version map. */
#include "version_map_private.h"

#define VERSION_COLUMNS                                                                                      \
    "SELECT id, vault, name, version, kid, current, kind, hsm, bits, curve, operations, cka_id, "            \
    "spki_sha256, spki, state, enabled,"                                                                     \
    " nbf, exp, created, first_seen, seen, first_wrap, last_wrap, last_unwrap, wraps, managed,"              \
    " hsm_platform, state_since, last_drill, retire_after, entry, updated, recovery, protected, settled "    \
    "FROM "                                                                                                  \
    "version "
#define VERSION_REST                                                                                         \
    " AND (:vault IS NULL OR vault = :vault) AND (:version IS NULL OR version = :version) AND (:current = "  \
    "0 OR current = 1)"                                                                                      \
    " ORDER BY name, created DESC, version LIMIT :limit"

#define LOCATION_COLUMNS "spki_sha256, kid, first_seen, seen, accepted, entry"
#define JOURNAL_COLUMNS  "seq, at, before, program, kind, subject, detail, facts, hash"
#define BACKUP_FIELDS                                                                                        \
    "b.row, id, store, object, header_sha256, b.size, created, b.keep_until, drilled, drill_result,"         \
    " retired, entry"
#define BACKUP_COLUMNS "SELECT " BACKUP_FIELDS " FROM backup b "
#define BACKUP_REST    " AND (retired = 0 OR :retired = 1) ORDER BY b.row LIMIT :limit"

/* Versions that the vault still has, as far as is known. */
#define THERE "state NOT IN ('deleted', 'purged', 'missing')"

/* A version v of the key of a recipient r. */
#define IS_OF "((v.kind <> 2 AND v.spki_sha256 = r.key) OR (v.kind = 2 AND v.cka_id = r.key))"
/* And one that opens old data now, as the last sync saw it, in vaults between line feeds. */
#define OPENS                                                                                                \
    "(v.state IN ('enabled', 'expired', 'not-yet-valid') AND (v.operations & :open) <> 0"                    \
    " AND (:vaults IS NULL OR instr(:vaults, char(10) || v.vault || char(10)) > 0))"
/* Recipients that open without any vault of ours: what nobody knows is none. */
#define GLASS "(length(r.key) = 0 AND r.kind NOT IN ('unknown', 'cms-unknown', 'vault-key'))"

const char *const kv_map_texts[KV_SQL_COUNT] = {
    [KV_SQL_BEGIN] = "BEGIN IMMEDIATE",
    [KV_SQL_COMMIT] = "COMMIT",
    [KV_SQL_ROLLBACK] = "ROLLBACK",
    [KV_SQL_FIND_ID] = VERSION_COLUMNS "WHERE cka_id = :id AND (:name IS NULL OR name = :name)" VERSION_REST,
    [KV_SQL_FIND_SPKI] =
        VERSION_COLUMNS "WHERE spki_sha256 = :spki AND (:name IS NULL OR name = :name)" VERSION_REST,
    [KV_SQL_FIND_NAME] =
        VERSION_COLUMNS "WHERE vault = :vault AND name = :name AND (:version IS NULL OR version = :version)"
                        " AND (:current = 0 OR current = 1) ORDER BY created DESC, version LIMIT :limit",
    [KV_SQL_FIND_ALL] = VERSION_COLUMNS "WHERE (:name IS NULL OR name = :name)" VERSION_REST,
    [KV_SQL_STORE] =
        "INSERT INTO version (vault, name, version, kid, current, kind, hsm, bits, curve, operations, "
        "cka_id, spki_sha256, spki, state,"
        " enabled, nbf, exp, created, first_seen, seen, first_wrap, last_wrap, last_unwrap, wraps, managed,"
        " hsm_platform, state_since, last_drill, retire_after, updated, recovery, protected,"
        " settled)"
        " VALUES (:vault, :name, :version, :kid, :current, :kind, :hsm, :bits, :curve, :operations, :id, "
        ":spki_sha256, :spki, :state,"
        " :enabled, :nbf, :exp, :created, :first_seen, :seen, :first_wrap, :last_wrap, :last_unwrap, :wraps,"
        " :managed, :hsm_platform, iif(:state_since = 0, :seen, :state_since), :last_drill, :retire_after,"
        " :updated, :recovery, :protected, :settled)"
        " ON CONFLICT (vault, name, version) DO UPDATE SET kid = excluded.kid,"
        " current = iif(:entry = 0 OR :entry = entry, excluded.current, current), "
        "kind = excluded.kind,"
        " hsm = excluded.hsm, bits = excluded.bits, curve = excluded.curve, operations = "
        "excluded.operations, cka_id = excluded.cka_id,"
        " spki_sha256 = excluded.spki_sha256, spki = excluded.spki, state = excluded.state, enabled = "
        "excluded.enabled,"
        " nbf = excluded.nbf, exp = excluded.exp, created = excluded.created,"
        " first_seen = iif(first_seen = 0, excluded.first_seen, min(first_seen, excluded.first_seen)), seen "
        "= max(seen, excluded.seen),"
        " first_wrap = iif(first_wrap = 0, excluded.first_wrap, first_wrap), last_wrap = max(last_wrap, "
        "excluded.last_wrap),"
        " last_unwrap = max(last_unwrap, excluded.last_unwrap), wraps = max(wraps, excluded.wraps),"
        " settled = max(settled, excluded.settled),"
        " managed = max(managed, excluded.managed),"
        " hsm_platform = iif(excluded.hsm_platform = '', hsm_platform, excluded.hsm_platform),"
        " state_since = iif(state = excluded.state, state_since, excluded.seen), last_drill = "
        "max(last_drill, "
        "excluded.last_drill), updated = excluded.updated,"
        " recovery = iif(excluded.recovery = '', recovery, excluded.recovery), protected = max(protected,"
        " excluded.protected)"
        " RETURNING id, current",
    [KV_SQL_VERSION_ROW] = VERSION_COLUMNS "WHERE id = :row",
    [KV_SQL_VERSION_PAGE] = VERSION_COLUMNS "WHERE id > :after ORDER BY id LIMIT :limit",
    [KV_SQL_KEYS] =
        "SELECT name, total(" THERE "), max(iif(" THERE
        " AND current, recovery, '')), max(protected), max(iif(" THERE
        ", created, 0)) FROM version v WHERE vault = :vault AND name > :after GROUP BY name ORDER BY name"
        " LIMIT :limit",
    [KV_SQL_NEEDS_OLD] =
        "SELECT EXISTS (SELECT 1 FROM version v WHERE vault = :vault AND name = :name AND current = 0 "
        "AND " THERE " AND (wraps > settled"
        " OR EXISTS (SELECT 1 FROM recipient r CROSS JOIN backup_recipient o ON o.recipient = r.id AND"
        " o.removed = 0 WHERE r.key = iif(v.kind = 2, v.cka_id, v.spki_sha256))))",
    [KV_SQL_KEY_BACKUP] =
        "SELECT taken, path, sha256, versions FROM key_backup WHERE vault = :vault AND name = :name",
    [KV_SQL_KEY_BACKUP_PUT] =
        "INSERT INTO key_backup (vault, name, taken, path, sha256, versions)"
        " VALUES (:vault, :name, :taken, :path, :sha256, :versions)"
        " ON CONFLICT (vault, name) DO UPDATE SET taken = excluded.taken, path = excluded.path, sha256 ="
        " excluded.sha256, versions = excluded.versions WHERE excluded.taken >= taken",
    [KV_SQL_VERSION_HINTS] =
        "UPDATE version SET"
        " first_seen = iif(:first_seen > 0 AND :first_seen < first_seen, :first_seen, first_seen),"
        " first_wrap = iif(:first_wrap > 0 AND (first_wrap = 0 OR :first_wrap < first_wrap), :first_wrap,"
        " first_wrap), last_wrap = max(last_wrap, :last_wrap), last_unwrap = max(last_unwrap, :last_unwrap),"
        " wraps = max(wraps, settled + :left), last_drill = max(last_drill, :last_drill),"
        " retire_after = iif(retire_after = 0, :retire_after, retire_after) WHERE id = :row",
    [KV_SQL_VERSION_ENTRY] = "UPDATE version SET entry = :entry WHERE id = :row",
    [KV_SQL_VERSION_PLAN] =
        "UPDATE version SET retire_after = iif(:retire_after IS NULL, retire_after, :retire_after),"
        " last_drill = iif(:drilled IS NULL, last_drill, max(last_drill, :drilled))"
        " WHERE vault = :vault AND name = :name AND version = :version RETURNING id",
    [KV_SQL_VERSIONS_UNWRITTEN] = "SELECT id, seen FROM version WHERE entry = 0 ORDER BY id",
    [KV_SQL_UNCURRENT] = "UPDATE version SET current = 0 WHERE vault = :vault AND name = :name AND version "
                         "<> :version AND current = 1 RETURNING id",
    [KV_SQL_LOCATE] =
        "INSERT INTO location (spki_sha256, kid, first_seen, seen) VALUES (:spki_sha256, :kid, :seen, :seen)"
        " ON CONFLICT (spki_sha256, kid) DO UPDATE SET seen = max(seen, excluded.seen)",
    [KV_SQL_LOCATIONS] = "SELECT " LOCATION_COLUMNS " FROM location WHERE spki_sha256 = :spki ORDER BY kid",
    [KV_SQL_LOCATIONS_ALL] = "SELECT " LOCATION_COLUMNS " FROM location",
    [KV_SQL_LOCATIONS_OF_KID] = "SELECT " LOCATION_COLUMNS " FROM location WHERE kid = :kid",
    [KV_SQL_LOCATIONS_ACCEPTED] = "SELECT " LOCATION_COLUMNS " FROM location WHERE accepted <> 0",
    [KV_SQL_LOCATION_PUT] = "INSERT INTO location (spki_sha256, kid, first_seen, seen, accepted, entry)"
                            " VALUES (:spki, :kid, :first_seen, :seen, :accepted, :entry)"
                            " ON CONFLICT (spki_sha256, kid) DO UPDATE SET seen = max(seen, excluded.seen),"
                            " first_seen = iif(first_seen = 0, excluded.first_seen, first_seen),"
                            " accepted = excluded.accepted, entry = excluded.entry",
    [KV_SQL_JOURNAL_HEAD] = "SELECT entries, hash FROM journal_head WHERE id = 1",
    [KV_SQL_JOURNAL_SEAL] = "UPDATE journal_head SET entries = :entries, hash = :hash WHERE id = 1",
    [KV_SQL_JOURNAL_ADD] =
        "INSERT INTO journal (seq, at, program, kind, subject, detail, before, facts, hash)"
        " VALUES (:seq, :at, :program, :kind, :subject, :detail, :before, :facts, :hash)",
    [KV_SQL_JOURNAL_ENTRY] = "SELECT " JOURNAL_COLUMNS " FROM journal WHERE seq = :seq",
    [KV_SQL_JOURNAL_PAGE] =
        "SELECT " JOURNAL_COLUMNS " FROM journal WHERE seq > :after ORDER BY seq LIMIT :limit",
    [KV_SQL_VISITED] = "SELECT at, status FROM visit WHERE vault = :vault AND name = :name",
    [KV_SQL_VISIT] =
        "INSERT OR REPLACE INTO visit (vault, name, at, status) VALUES (:vault, :name, :at, :status)",
    [KV_SQL_ROTATION] = "SELECT at, after FROM rotation WHERE vault = :vault AND name = :name",
    [KV_SQL_ROTATING] =
        "INSERT OR REPLACE INTO rotation (vault, name, at, after) VALUES (:vault, :name, :at, :after)",
    [KV_SQL_ROTATED] = "DELETE FROM rotation WHERE vault = :vault AND name = :name",
    [KV_SQL_CHALLENGE] = "SELECT authority, tenant, scope FROM challenge WHERE host = :host",
    [KV_SQL_LEARN] = "INSERT OR REPLACE INTO challenge (host, authority, tenant, scope) VALUES (:host, "
                     ":authority, :tenant, :scope)",
    [KV_SQL_WRAPPED] = "INSERT OR IGNORE INTO wrap (digest, vault, name, version, at, program)"
                       " VALUES (:digest, :vault, :name, :version, :at, :program)",
    [KV_SQL_WRAPPED_VERSION] =
        "UPDATE version SET wraps = wraps + 1, first_wrap = iif(first_wrap = 0, :at, min(first_wrap, :at)),"
        " last_wrap = max(last_wrap, :at) WHERE vault = :vault AND name = :name AND version = :version",
    [KV_SQL_WHO_WRAPPED] = "SELECT vault, name, version, at, program FROM wrap WHERE digest = :digest",
    [KV_SQL_UNWRAPPED] = "UPDATE version SET last_unwrap = max(last_unwrap, :at) WHERE vault = :vault AND "
                         "name = :name AND version = :version",
    [KV_SQL_CERTIFICATE] =
        "SELECT der, at FROM certificate"
        " WHERE vault = :vault AND name = :name AND version = :version AND source = :source",
    /* One that is known is never replaced: a certificate of a version does not change; that there is none may. */
    [KV_SQL_CERTIFY] =
        "INSERT INTO certificate (vault, name, version, source, der, at)"
        " VALUES (:vault, :name, :version, :source, :der, :at)"
        " ON CONFLICT (vault, name, version, source) DO UPDATE SET der = excluded.der, at = excluded.at"
        " WHERE length(der) = 0",
    [KV_SQL_CERTIFICATES_ALL] =
        "SELECT vault, name, version, source, der, at FROM certificate WHERE length(der) > 0",
    [KV_SQL_CERTIFICATES] = "SELECT c.der, v.spki, c.vault, c.name, c.version FROM certificate c"
                            " LEFT JOIN version v USING (vault, name, version) WHERE length(c.der) > 0",
    [KV_SQL_BACKUP_FIND] = BACKUP_COLUMNS "WHERE id = :id AND store = :store",
    [KV_SQL_BACKUP_PUT] =
        "INSERT INTO backup (id, store, object, header_sha256, size, created, keep_until, drilled,"
        " drill_result, retired, entry)"
        " VALUES (:id, :store, :object, :header, :size, :created, :keep_until, :drilled, :drill_result,"
        " :retired, :entry)"
        " ON CONFLICT (id, store) DO UPDATE SET object = excluded.object, header_sha256 ="
        " excluded.header_sha256, size = excluded.size, created = excluded.created, keep_until ="
        " excluded.keep_until, drilled = excluded.drilled, drill_result = excluded.drill_result, retired ="
        " excluded.retired, entry = excluded.entry RETURNING row",
    [KV_SQL_BACKUP_PAGE] = BACKUP_COLUMNS "WHERE b.row > :after" BACKUP_REST,
    [KV_SQL_BACKUP_PAGE_ID] =
        BACKUP_COLUMNS "WHERE id = :id AND (:store IS NULL OR store = :store) AND b.row > :after" BACKUP_REST,
    [KV_SQL_BACKUP_PAGE_STORE] = BACKUP_COLUMNS "WHERE store = :store AND b.row > :after" BACKUP_REST,
    [KV_SQL_BACKUP_PAGE_OPENER] =
        "SELECT " BACKUP_FIELDS " FROM backup_recipient o CROSS JOIN backup b ON b.row = o.backup"
        " WHERE o.recipient = :recipient AND o.backup > :after AND (o.removed = 0 OR :retired = 1)"
        " AND (:store IS NULL OR store = :store) AND (:id IS NULL OR id = :id)"
        " AND (retired = 0 OR :retired = 1) ORDER BY o.backup LIMIT :limit",
    [KV_SQL_BACKUPS_UNWRITTEN] = "SELECT row, created FROM backup WHERE entry = 0 ORDER BY row",
    [KV_SQL_BACKUP_ENTRY] = "UPDATE backup SET entry = :entry WHERE row = :row",
    [KV_SQL_BACKUP_ROW] = BACKUP_COLUMNS "WHERE row = :row",
    [KV_SQL_BACKUP_COUNT] = "SELECT count(*) FROM backup WHERE retired = 0",
    [KV_SQL_BACKUP_COUNT_VAULT] =
        "SELECT count(DISTINCT o.backup) FROM version v JOIN recipient r"
        " ON r.key = iif(v.kind = 2, v.cka_id, v.spki_sha256)"
        " CROSS JOIN backup_recipient o ON o.recipient = r.id AND o.removed = 0 WHERE v.vault = :vault",
    [KV_SQL_OPENERS] =
        "SELECT r.kind, r.key, r.text, o.added, o.removed FROM backup_recipient o JOIN recipient r ON r.id ="
        " o.recipient WHERE o.backup = :row ORDER BY r.kind, r.key, r.text",
    [KV_SQL_OPENERS_STRAY] =
        "SELECT 1 FROM backup b JOIN backup_recipient o ON o.backup = b.row WHERE b.row = :row AND"
        " (o.size <> b.size OR o.keep_until <> b.keep_until OR typeof(o.size) <> 'integer' OR"
        " typeof(o.keep_until) <> 'integer' OR typeof(o.added) <> 'integer' OR typeof(o.removed) <> "
        "'integer') LIMIT 1",
    [KV_SQL_RECIPIENT_FIND] = "SELECT id FROM recipient WHERE kind = :kind AND key = :key"
                              " AND (length(:key) > 0 OR text = :text) ORDER BY text <> :text, id",
    /* And those of an envelope that was scanned before the version was known: by the key's identifier, which is its CKA_ID. */
    [KV_SQL_RECIPIENTS] =
        "SELECT id FROM recipient WHERE key = :key UNION SELECT r.id FROM version v CROSS JOIN recipient r"
        " ON r.kind IN ('cms-unknown', 'cms-certificate') AND r.key = x'' AND r.text = lower(hex(v.cka_id))"
        " WHERE v.spki_sha256 = :key",
    [KV_SQL_RECIPIENT_PUT] =
        "INSERT INTO recipient (kind, key, text) VALUES (:kind, :key, :text) RETURNING id",
    [KV_SQL_OPENER_PUT] =
        "INSERT INTO backup_recipient (recipient, backup, added, removed, keep_until, size)"
        " VALUES (:recipient, :row, :added, :removed, :keep_until, :size)"
        " ON CONFLICT (recipient, backup) DO UPDATE SET added = excluded.added, removed = excluded.removed,"
        " keep_until = excluded.keep_until, size = excluded.size",
    [KV_SQL_DEPENDANTS] =
        "SELECT count(*), CAST(total(size) AS INTEGER), coalesce(max(keep_until), 0) FROM backup_recipient"
        " WHERE recipient = :recipient AND removed = 0",
    [KV_SQL_SOLE] =
        "SELECT count(*) FROM backup_recipient o WHERE recipient = :recipient AND removed = 0 AND NOT EXISTS"
        " (SELECT 1 FROM backup_recipient x JOIN recipient r ON r.id = x.recipient"
        " WHERE x.backup = o.backup AND x.removed = 0 AND x.recipient <> o.recipient AND r.key IS NOT :key)",
    [KV_SQL_BACKUP_PAGE_OBJECT] = BACKUP_COLUMNS
    "WHERE object = :object AND (:store IS NULL OR store = :store) AND b.row > :after" BACKUP_REST,
    [KV_SQL_SETTLE] = "UPDATE wrap SET settled = :at WHERE digest = :digest AND settled = 0"
                      " RETURNING vault, name, version",
    /* A wrap of a version that was not known then does not count, and so nor does its end. */
    [KV_SQL_SETTLED] = "UPDATE version SET settled = min(wraps, settled + 1)"
                       " WHERE vault = :vault AND name = :name AND version = :version",
    [KV_SQL_WRAPS_LEFT] = "SELECT CAST(total(max(wraps - settled, 0)) AS INTEGER) FROM version"
                          " WHERE cka_id = :id AND spki_sha256 = :spki",
    [KV_SQL_REWRAPPING] =
        "INSERT OR REPLACE INTO rewrap (header, digest, id, store) VALUES (:header, :digest, :id, :store)",
    [KV_SQL_REWRAPPING_AGAIN] =
        "DELETE FROM rewrap WHERE digest = :digest AND id = :id AND store = :store AND header IS NOT :header",
    [KV_SQL_REWRAP] = "SELECT id, store FROM rewrap WHERE header = :header LIMIT 1",
    [KV_SQL_REWRAPPED] = "DELETE FROM rewrap WHERE header = :header AND digest = (SELECT min(digest) FROM"
                         " rewrap WHERE header = :header) RETURNING digest",
    [KV_SQL_SURVEY_ROOM] = "SELECT coalesce(max(id), 0) FROM recipient",
    [KV_SQL_SURVEY_OPENERS] =
        "SELECT r.id, r.key, iif(r.kind IN ('cms-unknown', 'vault-key'), 2, r.kind = 'unknown'), v.id, " OPENS
        ", v.state = 'enabled', v.vault, v.kind, v.bits, v.hsm FROM recipient r"
        " LEFT JOIN version v ON " IS_OF " ORDER BY r.key",
    [KV_SQL_SURVEY] = "SELECT b.row, b.size, b.keep_until, o.recipient FROM backup b"
                      " LEFT JOIN backup_recipient o ON o.backup = b.row AND o.removed = 0"
                      " WHERE b.retired = 0 AND (:store IS NULL OR b.store = :store) ORDER BY b.row",
    [KV_SQL_RECIPIENT_TEXT] = "SELECT coalesce(max(text), '') FROM recipient WHERE key = :key",
    [KV_SQL_READ] = "BEGIN",
    [KV_SQL_FORMAT] = "PRAGMA user_version",
    [KV_SQL_UNKNOWN_OPENERS] =
        "SELECT count(DISTINCT o.backup) FROM recipient r CROSS JOIN backup_recipient o ON o.recipient = r.id"
        " AND o.removed = 0 WHERE r.kind IN ('cms-unknown', 'vault-key') AND r.key = x''",
    [KV_SQL_SAMPLE] =
        "SELECT key, row FROM (SELECT iif(:glass, x'', r.key) AS key, b.row AS row, row_number() OVER"
        " (PARTITION BY iif(:glass, x'', r.key), b.store ORDER BY b.drilled, b.row DESC) AS place"
        " FROM recipient r CROSS JOIN backup_recipient o ON o.recipient = r.id AND o.removed = 0"
        " CROSS JOIN backup b ON b.row = o.backup WHERE (length(r.key) > 0 AND NOT :glass OR :glass "
        "AND " GLASS ")"
        " AND b.retired = 0 AND (:store IS NULL OR b.store = :store)) WHERE place <= :sample ORDER BY key, "
        "row",
};

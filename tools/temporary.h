/* Files for what does not fit into memory and has to be read once more. Any thread. */
#ifndef KV_TOOLS_TEMPORARY_H
#define KV_TOOLS_TEMPORARY_H

#include <stdio.h>

/* One without a name, for reading and writing, in the folder of TMPDIR, else in /var/tmp: never where /tmp is memory, for a backup may be larger than that. -1, NULL and
 * errno: there is none. */
int kv_temporary_fd(void);
FILE *kv_temporary_file(void);
const char *kv_temporary_folder(void); /* for messages */

#endif

/* What must not be left behind when a signal ends the program (SIGINT, SIGTERM, SIGHUP): a file that is not whole yet, a child that writes for nobody. The signal then takes its
 * course, so that whoever sent it sees that. One of each; set and forgotten by the thread that has them. */
#ifndef KV_TOOLS_PROCESS_LEAVE_H
#define KV_TOOLS_PROCESS_LEAVE_H

#include <sys/types.h>

/* `name` in the open folder; NULL: there is none any more. Both are borrowed until then. */
void kv_leave_file(int folder, const char *name);
/* Gets SIGTERM; 0: there is none any more. */
void kv_leave_child(pid_t child);

#endif

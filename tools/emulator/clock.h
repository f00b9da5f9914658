/* The emulator's only source of time: the machine's clock plus an offset that the control API moves. Any thread. */
#ifndef EM_CLOCK_H
#define EM_CLOCK_H

#include <stdint.h>

int64_t em_clock_seconds(void); /* since the epoch */
int64_t em_clock_ms(void);
int64_t em_clock_offset(void);
void em_clock_move(int64_t offset_seconds);
/* The machine's own time, for the request log's intervals and for throttling. */
int64_t em_clock_real_ms(void);

/* Sleeps, unless the program stops meanwhile. */
void em_clock_pause(int64_t ms);
/* Ends all pauses, present and future. */
void em_clock_stop(void);

#endif

/* Says that the wall clock was set since boot while the file CLOCK_SET_FILE is there, and that it was not while it is
   gone. For LD_PRELOAD. */
#include <stdlib.h>
#include <sys/timex.h>
#include <unistd.h>

int adjtimex(struct timex *clock)
{
    const char *name = getenv("CLOCK_SET_FILE");
    if (!name)
        abort(); /* a test that speaks of a clock must have one */
    clock->status = access(name, F_OK) == 0 ? 0 : STA_UNSYNC;
    return TIME_OK;
}

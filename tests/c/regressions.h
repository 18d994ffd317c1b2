/* What fuzzing found and no random case is likely to meet again, by name. Most were undefined behaviour
 * without visible effect: only sanitizers see them fail. */
#ifndef REGRESSIONS_H
#define REGRESSIONS_H

/* NULL, or which one failed. */
const char *check_regressions(void);

#endif

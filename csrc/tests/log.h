/* The log that drive.h describes; one at a time. */
#ifndef LOG_H
#define LOG_H

#include "wsf.h"

void log_start(void);
void log_event(const wsf_event *event);
void log_error(int error);
const char *log_text(void);

#endif

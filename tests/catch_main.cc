// The one translation unit that holds Catch2's main: it is slow to compile, and never changes.
#define CATCH_CONFIG_MAIN
#include "catch.h"

/* Needs a library that is not found. */
int value_of_a_library(void);

int main(void) { return value_of_a_library(); }

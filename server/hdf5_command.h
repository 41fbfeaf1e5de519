/* hdf5_command.h - lailad hdf5 ...: what an operator does to a pool's file while no daemon has it. */
#ifndef SERVER_HDF5_COMMAND_H
#define SERVER_HDF5_COMMAND_H

/* The arguments behind "hdf5". Prints what it finds; the exit code: 0 well, 1 not, 2 wrong usage. */
int hdf5_command(int argc, char **argv);
/* For --help; to standard output. */
void hdf5_command_print_help(void);

#endif

/* Macros of well-known headers, for machines that do not have them. */

/* X11/Xlib.h, X11/X.h, X11/extensions/XIproto.h, X11/Xos.h */
#define Status int
#define Bool int
#define True 1
#define False 0
#define None 0L
#define Success 0
#define Always 2
#define Mask CARD32
#define index(s, c) (strchr((s), (c)))

/* windows.h */
#define min(a, b) (((a) < (b)) ? (a) : (b))
#define max(a, b) (((a) > (b)) ? (a) : (b))
#define near
#define far
#define small char
#define interface struct
#define IN
#define OUT
#define OPTIONAL
#define ERROR 0
#define CONST const

/* curses.h, term.h */
#define OK (0)
#define ERR (-1)
#define move(y, x) wmove(stdscr, (y), (x))
#define erase() werase(stdscr)
#define clear() wclear(stdscr)
#define timeout(delay) wtimeout(stdscr, (delay))
#define columns CUR Numbers[0]

/* complex.h, sys/sysmacros.h */
#define I _Complex_I
#define major(dev) gnu_dev_major(dev)
#define minor(dev) gnu_dev_minor(dev)
#define makedev(major, minor) gnu_dev_makedev(major, minor)

/* Qt */
#define emit
#define slots
#define signals public
#define foreach Q_FOREACH

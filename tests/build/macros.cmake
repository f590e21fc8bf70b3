# A macro of another header with a name that attn's headers use (Xlib.h's Status, term.h's columns) must not break them:
# macros_off.h puts all of those names aside, macros_on.h brings them back. Both are made here, from the headers' own
# names; with -DWRITE=ON they are written, else compared, and every header is compiled with every name taken.
include(${CMAKE_CURRENT_LIST_DIR}/common.cmake)
get_filename_component(folder ${CMAKE_CURRENT_LIST_DIR}/../../include/attn ABSOLUTE)
file(GLOB headers RELATIVE ${folder} ${folder}/*)
list(FILTER headers EXCLUDE REGEX "^macros_")

# Words of C++, of C and of attributes, which no program can take.
set(words alignas auto bool break case char class const constexpr continue default delete do double else enum explicit
  extern false final float for friend if inline int long mutable namespace noexcept nodiscard nullptr operator override
  private protected public return short signed sizeof static struct switch template this throw true typedef typename
  union unsigned using virtual void volatile while)
# Names that the standard headers use, and windows.h or an old curses.h take.
set(names clear erase max min move)
foreach(header IN LISTS headers)
  file(READ ${folder}/${header} text)
  string(REGEX REPLACE "[][;]" " " text "${text}")
  string(REGEX REPLACE "/\\*([^*]|\\*+[^*/])*\\*+/|//[^\n]*|\"[^\"\n]*\"|\n *#[^\n]*|std::[a-z0-9_]+" " " text "\n${text}")
  string(REGEX MATCHALL "[A-Za-z_][A-Za-z_0-9]*" found "${text}")
  list(APPEND names ${found})
endforeach()
# attn's own prefixes, private members, and what is reserved or of the C library.
list(FILTER names EXCLUDE REGEX "^attn$|^attn_|^ATTN_|^__|_$|_t$")
list(REMOVE_ITEM names ${words})
list(REMOVE_DUPLICATES names)
list(SORT names)

set(off "/* Written by tests/build/macros.cmake. Puts aside the macros that others have under names of these headers. */\n")
set(on "/* Written by tests/build/macros.cmake. Brings back what macros_off.h put aside. */\n")
foreach(name IN LISTS names)
  string(APPEND off "#pragma push_macro(\"${name}\")\n#undef ${name}\n")
  string(APPEND on "#pragma pop_macro(\"${name}\")\n")
endforeach()
foreach(which IN ITEMS off on)
  if(WRITE)
    file(WRITE ${folder}/macros_${which}.h "${${which}}")
    continue()
  endif()
  set(text)
  if(EXISTS ${folder}/macros_${which}.h)
    file(READ ${folder}/macros_${which}.h text)
  endif()
  if(NOT text STREQUAL "${${which}}")
    message(FATAL_ERROR "macros_${which}.h does not have the names of the headers. Write it anew: "
      "cmake -DWRITE=ON -P tests/build/macros.cmake")
  endif()
endforeach()
if(WRITE)
  return()
endif()

# Every name taken, by something that is an error wherever it stands; and still taken afterwards.
file(REMOVE_RECURSE ${WORK_DIR})
set(taken)
set(still)
foreach(name IN LISTS names)
  string(APPEND taken "#define ${name} @\n")
  string(APPEND still "#ifndef ${name}\n#error ${name} was not brought back\n#endif\n")
endforeach()
file(WRITE ${WORK_DIR}/taken.h "${taken}")
set(cxx ${CXX} ${CXX_FLAGS_LIST} -std=c++17 -Wall -Wextra -Werror -fsyntax-only -I${folder}/.. -x c++)
set(c ${CC} -std=c99 -Wall -Wextra -Werror -pedantic -fsyntax-only -I${folder}/.. -x c)
foreach(header IN LISTS headers)
  file(WRITE ${WORK_DIR}/user "#include \"taken.h\"\n#include <attn/${header}>\n${still}int unit;\n")
  run(${cxx} ${WORK_DIR}/user)
  if(header MATCHES "\\.h$")
    run(${c} ${WORK_DIR}/user)
  endif()
endforeach()

# Usable with headers that are known for their macros, in either order: imitations of them, and those of this machine.
foreach(header IN ITEMS "\"imitation.h\"" <X11/Xlib.h> <X11/Xutil.h> <X11/Intrinsic.h> <X11/extensions/XIproto.h>
    <curses.h> <term.h> <complex.h> <sys/sysmacros.h> <sys/param.h> <strings.h>)
  foreach(order IN ITEMS BEFORE AFTER)
    run(${cxx} -D${order}=${header} ${CMAKE_CURRENT_LIST_DIR}/macros/user.cpp)
  endforeach()
endforeach()

# How every target of ours is compiled: warnings are errors, hardened, sanitized on request.
add_library(flotilla_options INTERFACE)
target_include_directories(flotilla_options INTERFACE ${PROJECT_SOURCE_DIR}/controller)
target_compile_options(flotilla_options INTERFACE
  -Wall -Wextra -Wpedantic -Werror -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast
  -Wnon-virtual-dtor -Woverloaded-virtual -Wimplicit-fallthrough -Wformat=2
  $<$<CXX_COMPILER_ID:GNU>:-Wduplicated-cond -Wlogical-op>
  -fstack-protector-strong)

if(FLOTILLA_SANITIZE)
  target_compile_options(flotilla_options INTERFACE
    -fsanitize=${FLOTILLA_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(flotilla_options INTERFACE -fsanitize=${FLOTILLA_SANITIZE})
  if(FLOTILLA_SANITIZE STREQUAL thread AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    target_compile_options(flotilla_options INTERFACE -Wno-tsan)  # fences, in Boost.Asio
  endif()
else()
  target_compile_options(flotilla_options INTERFACE
    $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=2> -D_GLIBCXX_ASSERTIONS)
  target_link_options(flotilla_options INTERFACE -Wl,-z,relro,-z,now)
endif()

# flotilla_floor(NAME [DEPENDS floor...] [LIBRARIES lib...])
# One folder of controller/ as one static library. Sources are found by pattern, so that a new
# file needs no edit here.
function(flotilla_floor name)
  cmake_parse_arguments(arg "" "" "DEPENDS;LIBRARIES" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cc)
  list(TRANSFORM arg_DEPENDS PREPEND flotilla_)
  if(sources)
    add_library(flotilla_${name} STATIC ${sources})
    target_link_libraries(flotilla_${name} PUBLIC flotilla_options ${arg_DEPENDS} ${arg_LIBRARIES})
  else()
    add_library(flotilla_${name} INTERFACE)
    target_link_libraries(flotilla_${name} INTERFACE flotilla_options ${arg_DEPENDS} ${arg_LIBRARIES})
  endif()
endfunction()

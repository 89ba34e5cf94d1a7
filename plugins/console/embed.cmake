# cmake -DPAGE=DIR -DOUT=FILE.cc -P embed.cmake: embeds the plain page.
include(${CMAKE_CURRENT_LIST_DIR}/embed_files.cmake)
embed_files(${OUT} ${PAGE}/plain/index.html ${PAGE}/plain/app.js ${PAGE}/plain/app.css)

# cmake -DNPM=… -DNODE=… -DPAGE=DIR -DWORK=DIR -DOUT=FILE.cc [-DREQUIRED=ON] -P page.cmake: bundles the page of PAGE in
# WORK and embeds it. The source tree is not written to. What npm has installed is kept until package-lock.json changes.
#
# Where it cannot be bundled (no network, as a rule) the plain page is embedded, unless it is REQUIRED.
include(${CMAKE_CURRENT_LIST_DIR}/embed_files.cmake)

function(give_up why)
    if(REQUIRED)
        message(FATAL_ERROR "The console's page: ${why}")
    endif()
    message(WARNING "The console gets its plain page, because the full one could not be bundled: ${why}\n"
        "To try again remove ${OUT} and build; -DCIRCUS_CONSOLE_PAGE=OFF does not try.")
    embed_files(${OUT} ${PAGE}/plain/index.html ${PAGE}/plain/app.js ${PAGE}/plain/app.css)
endfunction()

file(MAKE_DIRECTORY ${WORK})
file(SHA256 ${PAGE}/package-lock.json lock)
set(installed)
if(EXISTS ${WORK}/node_modules/.of_lock)
    file(READ ${WORK}/node_modules/.of_lock installed)
endif()
if(NOT installed STREQUAL lock)
    file(COPY ${PAGE}/package.json ${PAGE}/package-lock.json ${PAGE}/.npmrc DESTINATION ${WORK})
    execute_process(
        COMMAND ${NPM} ci --omit=dev --ignore-scripts --prefer-offline --fetch-retries=1 --fetch-retry-mintimeout=1000
            --fetch-timeout=20000
        WORKING_DIRECTORY ${WORK} RESULT_VARIABLE failed OUTPUT_VARIABLE said ERROR_VARIABLE said)
    if(failed)
        give_up("npm ci: ${said}")
        return()
    endif()
    file(WRITE ${WORK}/node_modules/.of_lock ${lock})
endif()

execute_process(
    COMMAND ${CMAKE_COMMAND} -E env NODE_PATH=${WORK}/node_modules
        ${NODE} ${WORK}/node_modules/esbuild/bin/esbuild ${PAGE}/src/main.tsx
        --bundle --minify --target=es2022 --jsx=automatic --jsx-import-source=preact --legal-comments=inline
        --log-level=warning --outfile=${WORK}/app.js
    WORKING_DIRECTORY ${WORK} RESULT_VARIABLE failed OUTPUT_VARIABLE said ERROR_VARIABLE said)
if(failed)
    give_up("esbuild: ${said}")
    return()
endif()
set(licenses)
foreach(library preact uplot)
    file(READ ${WORK}/node_modules/${library}/LICENSE text)
    string(APPEND licenses "${library}\n\n${text}\n\n")
endforeach()
file(WRITE ${WORK}/licenses.txt "${licenses}")
embed_files(${OUT} ${PAGE}/index.html ${WORK}/app.js ${WORK}/app.css ${WORK}/licenses.txt)

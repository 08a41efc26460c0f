/* bcryptprimitives.dll for a Wine that has none (before 9): the one function of it that Rust's standard library asks for
 * random bytes. */
#include <windows.h>

/* RtlGenRandom, under the name that advapi32.dll exports. */
BOOLEAN NTAPI SystemFunction036(PVOID bytes, ULONG count);

__declspec(dllexport) BOOL WINAPI ProcessPrng(BYTE *bytes, SIZE_T count)
{
    const SIZE_T most = 1 << 20;
    while (count > 0) {
        SIZE_T now = count < most ? count : most;
        if (!SystemFunction036(bytes, (ULONG)now))
            return FALSE;
        bytes += now;
        count -= now;
    }
    return TRUE;
}

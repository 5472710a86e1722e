; 32-bit paging with 4 KiB and 4 MiB pages: Intel SDM vol. 3 section 4.3.
; qemu: TCG reports RSVD without P, and read-modify-write as a read
%include "common.inc"

ENTRY equ 4
WINDOW equ 0x10000000
BIG_WINDOW equ 0x20000000
BIG_FRAME equ 0x02000000
FETCH_ERROR equ 0              ; no I bit without NX or SMEP
upper_entry equ directory + 4 * (WINDOW >> 22)
big_entry equ directory + 4 * (BIG_WINDOW >> 22)

section .bss
alignb 4096
directory: resb 4096
low_table: resb 4096           ; the first 4 MiB one to one
window_table: resb 4096

%include "paging_body.inc"

test_main:
    call set_up
    call paging_tests
    call large_pages
    ret

set_up:
    xor ecx, ecx
    mov eax, P + W
.page:
    mov [low_table + ecx * 4], eax
    add eax, 4096
    inc ecx
    cmp ecx, 1024
    jb .page
    mov ecx, user_code
    shr ecx, 12
    or dword [low_table + ecx * 4], U
    mov ecx, ring3_stack
    shr ecx, 12
    or dword [low_table + ecx * 4], U
    mov dword [directory], low_table + P + W + U
    mov dword [directory + 4 * (BIG_FRAME >> 22)], BIG_FRAME + P + W + PS
    mov dword [upper_entry], window_table + P + W + U
    mov dword [big_entry], BIG_FRAME + P + W + PS
    mov eax, cr4
    or eax, CR4_PSE
    mov cr4, eax
    mov eax, directory
    mov cr3, eax
    mov eax, cr0
    or eax, CR0_PG + CR0_WP
    mov cr0, eax
    ret

CR0_PG equ 1 << 31

large_pages:
    ; Bit 21 of a 4 MiB entry is reserved (table 4-4); RSVD comes with P.
    mov dword [big_entry], BIG_FRAME + (1 << 21) + P + W + PS
    invlpg [BIG_WINDOW]
    PAGE_FAULT P + RSVD, BIG_WINDOW + 4, 'reserved bit in a large page', {mov eax, [BIG_WINDOW + 4]}
    PAGE_FAULT P + RSVD + 2, BIG_WINDOW + 4, 'write by a reserved bit', {mov [BIG_WINDOW + 4], eax}
    USER_FAULT P + RSVD + 4, BIG_WINDOW + 4, 'user read by a reserved bit', user_read
    ; In an entry that is not present nothing is reserved.
    and dword [big_entry], ~P
    invlpg [BIG_WINDOW]
    PAGE_FAULT 0, BIG_WINDOW + 4, 'reserved bit in an entry that is not present', {mov eax, [BIG_WINDOW + 4]}
    ; Without CR4.PSE the bit PS means nothing: the entry points to a table.
    mov dword [big_entry], window_table + P + W + PS
    mov dword [window_table], frames + P + W
    mov dword [frames], 0x7AB1E
    mov eax, cr4
    and eax, ~CR4_PSE
    mov cr4, eax
    mov eax, cr3
    mov cr3, eax
    mov ecx, [BIG_WINDOW]
    mov eax, cr4
    or eax, CR4_PSE
    mov cr4, eax
    EXPECT_EQ ecx, 0x7AB1E, 'PS without CR4.PSE'
    ; Paging off: linear addresses are physical again.
    mov eax, cr0
    and eax, ~CR0_PG
    mov cr0, eax
    EXPECT_EQ [frames], 0x7AB1E, 'memory without paging'
    mov eax, cr0
    or eax, CR0_PG
    mov cr0, eax
    ret

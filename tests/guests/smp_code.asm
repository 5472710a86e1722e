; Code that other CPUs write (Intel SDM vol. 3 section 9.1.3), in the ways that kernels do it, and pages that are code for
; one CPU and data for another.
; cpus: 2 4
; qemu: it runs old code behind CPUID
%include "smp64.inc"

STOP equ 0x41
SYNC equ 0x42
ROUNDS equ 240 / (CPUS * CPUS)       ; each waits for all: a time slice, where the host has fewer CPUs
CHANGES equ 1500
TOLD equ 5000
CODE equ 0x1000000                     ; pages that the guest writes code to
CROSSING equ CODE + 0x2000 - 3         ; an instruction across two pages
OWN equ 0x1004000                      ; a page with 64 bytes for each CPU
FRESH equ 0x1100000                    ; pages that nobody has run yet
FRESH_COUNT equ 480 / CPUS

section .bss
alignb 64
valid: resd 1                          ; no older value may be seen
alignb 64
written: resd 1                        ; no newer value may be seen
alignb 64
answers: resd 1
alignb 64
go_on: resd 1
alignb 64
stopped: resd 1

section .text
; WRITE_FUNCTION register with the address: mov eax, EBP; ret
%macro WRITE_FUNCTION 1
    mov byte [%1], 0xB8
    mov [%1 + 1], ebp
    mov byte [%1 + 5], 0xC3
%endmacro
%macro SERIALISE 0
    xor eax, eax
    cpuid
%endmacro

; SEEN register, name: what was seen since R12D was [valid].
%macro SEEN 2+
    mov r11d, [written]
    cmp %1, r12d
    jb %%bad
    cmp %1, r11d
    jbe %%good
%%bad:
    mov eax, %1
    mov edx, r12d
    mov esi, %%name
    jmp failed64
%%name: db %2, 0
%%good:
%endmacro
; CALL_UNTIL_STOPPED place, name: what most of the CPUs do.
%macro CALL_UNTIL_STOPPED 2+
%%again:
    mov r12d, [valid]
    call %1
    SEEN eax, %2
    cmp dword [stopped], 0
    je %%again
    ret
%endmacro
%macro PREPARE 1    ; place of the function
    mov dword [stopped], 0
    mov dword [valid], 0
    mov dword [written], 0
    xor ebp, ebp
    mov edi, %1
    WRITE_FUNCTION rdi
    SERIALISE
%endmacro

; --- the others wait in an interrupt while the code is written --------------------------------------------------------
stop_handler:
    push rax
    push rbx
    push rcx
    push rdx
    mov ecx, [go_on]
    lock inc dword [answers]
.wait:
    pause
    cmp [go_on], ecx
    je .wait
    SERIALISE
    lock inc dword [answers]
    END_OF_INTERRUPT
    pop rdx
    pop rcx
    pop rbx
    pop rax
    iretq

%macro STOP_AND_WRITE 2    ; place, label
%2:
    test r15d, r15d
    jz .write
    CALL_UNTIL_STOPPED %1, 'code that was written while this CPU waited'
.write:
    mov ebp, 1
.again:
    mov dword [answers], 0
    SEND_ALL STOP
    WAIT_EQ answers, CPUS - 1
    mov [written], ebp
    mov edi, %1
    mov [rdi + 1], ebp
    mov dword [answers], 0
    inc dword [go_on]
    WAIT_EQ answers, CPUS - 1
    mov [valid], ebp
    inc ebp
    cmp ebp, ROUNDS
    jbe .again
    mov dword [stopped], 1
    ret
%endmacro
STOP_AND_WRITE CODE, stop_and_write
STOP_AND_WRITE CROSSING, stop_and_write_crossing

; --- Linux's text_poke_bp(): a breakpoint, the rest, the first byte, with a serialising IPI behind each -----------------
sync_handler:
    push rax
    push rbx
    push rcx
    push rdx
    SERIALISE
    lock inc dword [answers]
    END_OF_INTERRUPT
    pop rdx
    pop rcx
    pop rbx
    pop rax
    iretq
breakpoint_handler:                    ; does what the new instruction will do
    mov eax, [written]
    add qword [rsp], 4
    iretq

%macro SYNC_ALL 0
    mov dword [answers], 0
    SEND_ALL SYNC
    WAIT_EQ answers, CPUS - 1
%endmacro
%macro POKE 2    ; place, label
%2:
    test r15d, r15d
    jz .poke
    CALL_UNTIL_STOPPED %1, 'code behind a breakpoint'
.poke:
    mov ebp, 1
.again:
    mov [written], ebp
    mov edi, %1
    mov byte [rdi], 0xCC
    SYNC_ALL
    mov [rdi + 1], ebp
    SYNC_ALL
    mov byte [rdi], 0xB8
    SYNC_ALL
    mov [valid], ebp
    inc ebp
    cmp ebp, ROUNDS
    jbe .again
    mov dword [stopped], 1
    ret
%endmacro
POKE CODE, poke
POKE CROSSING, poke_crossing

; --- a word tells of new code, which follows CPUID -----------------------------------------------------------------------
behind_cpuid:                          ; runs at CODE
    mov r12d, [written]
    SERIALISE
    mov eax, 0
.changed:
    ret
tell:
    test r15d, r15d
    jz .write
.run:
    call CODE
    cmp eax, r12d
    jae .good
    mov edx, r12d
    mov esi, .name
    jmp failed64
.good:
    cmp dword [written], TOLD
    jb .run
    ret
.name: db 'code behind CPUID', 0
.write:
    mov ebp, 1
.again:
    mov [CODE + behind_cpuid.changed - 4 - behind_cpuid], ebp
    mov [written], ebp
    inc ebp
    cmp ebp, TOLD
    jbe .again
    ret

; --- every CPU changes its own code on one page and runs it --------------------------------------------------------------
change_own:
    mov edi, r15d
    shl edi, 6
    add edi, OWN
    xor ebp, ebp
    WRITE_FUNCTION rdi
    mov ebp, CHANGES
.again:
    mov [rdi + 1], ebp
    call rdi
    cmp eax, ebp
    jne .bad
    dec ebp
    jnz .again
    ret
.bad:
    mov edx, ebp
    mov esi, .name
    jmp failed64
.name: db 'its own code on a page with that of others', 0

; --- code of one half of the CPUs on pages where the other half counts, close by and across the border -------------------
share:
    test r15d, 1
    jz .run
    mov edi, r15d
    shl edi, 3
    mov ecx, CHANGES
.count:
    inc qword [rdi + CODE + 0x1F80]    ; in the 64 bytes before those of the crossing instruction
    lock inc dword [CODE + 0x1FF0]     ; in the same
    inc qword [rdi + CODE + 0x2010]    ; behind it
    dec ecx
    jnz .count
    lock inc dword [stopped]
    ret
.run:
    call CROSSING
    cmp eax, 0x12345678
    jne .bad
    cmp dword [stopped], CPUS / 2
    jne .run
    ret
.bad:
    mov edx, 0x12345678
    mov esi, .name
    jmp failed64
.name: db 'code on a page that others write to', 0

; --- all run a page for the first time while CPU 0 still may write to it --------------------------------------------------
first_run:
    mov r13d, FRESH
.page:
    test r15d, r15d
    jz .write
.wait:
    cmp [written], r13d
    jb .wait
    call r13
    cmp eax, 1
    ja .bad
.again:
    cmp [valid], r13d
    jb .again
    SERIALISE
    call r13
    cmp eax, 1
    jne .bad
    lock inc dword [answers]
.next:
    add r13d, 4096
    cmp r13d, FRESH + FRESH_COUNT * 4096
    jb .page
    ret
.write:
    mov dword [answers], 0
    xor ebp, ebp
    WRITE_FUNCTION r13
    mov [written], r13d
    mov ecx, 4000
.rewrite:                              ; by the fast way, as long as there is one
    mov dword [r13 + 1], 0
    dec ecx
    jnz .rewrite
    mov dword [r13 + 1], 1
    mov [valid], r13d
    WAIT_EQ answers, CPUS - 1
    jmp .next
.bad:
    mov edx, 1
    mov esi, .name
    jmp failed64
.name: db 'a page that became code while it was written', 0

cpu_main:
    INTERRUPT STOP, stop_handler
    INTERRUPT SYNC, sync_handler
    INTERRUPT 3, breakpoint_handler
    PREPARE CODE
    RUN stop_and_write
    PREPARE CROSSING
    RUN stop_and_write_crossing
    PREPARE CODE
    RUN poke
    PREPARE CROSSING
    RUN poke_crossing
    mov dword [written], 0
    mov esi, behind_cpuid
    mov edi, CODE
    mov ecx, behind_cpuid.changed + 1 - behind_cpuid
    rep movsb
    RUN tell
    RUN change_own
    PREPARE CROSSING
    mov ebp, 0x12345678
    mov edi, CROSSING
    WRITE_FUNCTION rdi
    SERIALISE
    RUN share
    mov ebx, [CODE + 0x1FF0]
    FAIL_UNLESS e, rbx, CPUS / 2 * CHANGES, 'what was counted on pages with code'
    FAIL_UNLESS e, [CODE + 0x1F88], CHANGES, 'what was counted before code'
    FAIL_UNLESS e, [CODE + 0x2018], CHANGES, 'what was counted behind code'
    mov dword [written], 0
    mov dword [valid], 0
    RUN first_run
    ret

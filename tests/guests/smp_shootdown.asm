; One CPU maps a page to another frame and tells the others, as kernels do: from when all have dropped their translation,
; none may see the old frame (Intel SDM vol. 3 section 4.10.5). The page is data, stack and code by turns.
; cpus: 2 4
%include "smp64.inc"

FLUSH equ 0x41
ROUNDS equ 1600 / (CPUS * CPUS)       ; each waits for all: a time slice, where the host has fewer CPUs
FRAMES equ 8
FRAME equ 0x1000000                    ; the first frame
WINDOW equ 0x40000000                  ; where they are seen, one at a time
BODY equ 0x800                         ; of a frame: mov eax, its round; ret
STACKS equ 0x200                       ; of a frame: the others' stacks, 64 bytes each
SLOTS equ 0x400                        ; of a frame: what the others count, 64 bytes each

section .bss
alignb 4096
window_directory: resb 4096
window_table: resb 4096
alignb 64
valid: resd 1                          ; no older round may be seen
alignb 64
mapped: resd 1                         ; no newer round may be seen
alignb 64
answers: resd 1
alignb 64
asked: resd 1                          ; for those who look themselves
alignb 64
stopped: resd 1
old_slots: resq CPUS

section .text
; The frame of round EAX: RDI. Spoils RAX.
frame_of:
    and eax, FRAMES - 1
    shl eax, 12
    lea rdi, [rax + FRAME]
    ret

; Makes the frame of round EBP, and the window show it.
map_round:
    mov eax, ebp
    call frame_of
    mov [mapped], ebp
    mov [rdi], rbp
    mov [rdi + 0xFF8], rbp
%assign number 1
%rep CPUS - 1
    mov [rdi + STACKS + number * 64 + 8], rbp
    mov qword [rdi + STACKS + number * 64 - 24], stack_job.returned
%assign number number + 1
%endrep
    mov byte [rdi + BODY], 0xB8
    mov [rdi + BODY + 1], ebp
    mov byte [rdi + BODY + 5], 0xC3
    or edi, 3
    mov [window_table], rdi
    ret

%macro DROP_TRANSLATION 0
    test byte [mapped], 1
    jz %%all
    invlpg [WINDOW]
    jmp %%done
%%all:
    mov rax, cr3
    mov cr3, rax
%%done:
%endmacro

flush_handler:
    push rax
    DROP_TRANSLATION
    lock inc dword [answers]
    END_OF_INTERRUPT
    pop rax
    iretq

; The slots of the frame of round EAX must not change any more: their owners write to the new one.
remember_slots:
    call frame_of
%assign number 1
%rep CPUS - 1
    mov rax, [rdi + SLOTS + number * 64]
    mov [old_slots + number * 8], rax
%assign number number + 1
%endrep
    ret
check_slots:
    call frame_of
%assign number 1
%rep CPUS - 1
    FAIL_UNLESS e, [rdi + SLOTS + number * 64], [old_slots + number * 8], 'a store to a frame that is not mapped'
%assign number number + 1
%endrep
    ret

; Maps the rounds EBP to ROUNDS one after the other. %1: how the others are asked.
%macro REMAP 1
    mov ebp, 1
%%round:
    mov dword [answers], 0
    call map_round
    %1
    WAIT_EQ answers, CPUS - 1
    mov [valid], ebp
    cmp ebp, 1
    je %%first
    lea eax, [rbp - 2]
    call check_slots
%%first:
    lea eax, [rbp - 1]
    call remember_slots
    inc ebp
    cmp ebp, ROUNDS
    jbe %%round
    mov dword [stopped], 1
    ret
%endmacro
%macro BY_IPI 0
    SEND_ALL FLUSH
%endmacro
%macro BY_WORD 0
    mov [asked], ebp
%endmacro

; SEEN register, name: what was seen since R12D was [valid].
%macro SEEN 2+
    mov r11d, [mapped]
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

data_job:
    test r15d, r15d
    jz .remap
    mov r13d, r15d
    shl r13d, 6
.again:
    mov r12d, [valid]
    mov ebx, [WINDOW]
    SEEN ebx, 'data of a page that was mapped elsewhere'
    mov r12d, [valid]
    mov ebx, [WINDOW + 0xFF8]
    SEEN ebx, 'the end of a page that was mapped elsewhere'
    inc qword [r13 + WINDOW + SLOTS]
    cmp dword [stopped], 0
    je .again
    ret
.remap:
    REMAP BY_IPI

code_job:
    test r15d, r15d
    jz .remap
.again:
    mov r12d, [valid]
    mov eax, WINDOW + BODY
    call rax
    mov ebx, eax
    SEEN ebx, 'code of a page that was mapped elsewhere'
    mov r12d, [valid]
    call WINDOW + BODY
    mov ebx, eax
    SEEN ebx, 'code of a page that was mapped elsewhere, called directly'
    cmp dword [stopped], 0
    je .again
    ret
.remap:
    REMAP BY_IPI

; Nobody is asked: the others drop their translation themselves each time. Whoever finds the new frame finds the code that
; was written to it before it was mapped.
FREE_ROUNDS equ 3000
walk_job:
    test r15d, r15d
    jz .remap
.again:
    mov r12d, [valid]
    invlpg [WINDOW]
    call WINDOW + BODY
    mov ebx, eax
    SEEN ebx, 'code of a page that was just mapped'
    cmp dword [stopped], 0
    je .again
    ret
.remap:
    mov ebp, 1
.round:
    call map_round
    mov [valid], ebp
    inc ebp
    cmp ebp, FREE_ROUNDS
    jbe .round
    mov dword [stopped], 1
    ret

; The stack lies in the window, and moves to another frame under it. No interrupt may use it; so they are off, and a
; word tells what an IPI would. The new frame may be seen before that, too: return addresses are in all of them.
stack_job:
    test r15d, r15d
    jz .remap
    cli
    mov r10, rsp
    mov r13d, r15d
    shl r13d, 6
    lea rsp, [r13 + WINDOW + STACKS]
    xor r9d, r9d                       ; the last round that was asked for
.again:
    mov eax, [asked]
    cmp eax, r9d
    je .looked
    mov r9d, eax
    DROP_TRANSLATION
    lock inc dword [answers]
.looked:
    mov r12d, [valid]
    mov ebx, [rsp + 8]                 ; the round, written there by map_round
    push rbx
    push r9
    call .nothing
.returned:
    pop rcx
    pop rax
    cmp [mapped], r12d
    jne .remapped                      ; what was pushed may be in the old frame and popped from the new one
    cmp rcx, r9
    jne .lost
    cmp rax, rbx
    jne .lost
.remapped:
    SEEN ebx, 'a stack that was mapped elsewhere'
    cmp dword [stopped], 0
    je .again
    mov rsp, r10
    sti
    ret
.nothing:
    ret
.lost:
    mov rsp, r10
    mov esi, .name
    mov rdx, rbx
    jmp failed64
.name: db 'what was pushed', 0
.remap:
    REMAP BY_WORD

%macro SHOOT 1
    mov dword [valid], 0
    mov dword [mapped], 0
    mov dword [asked], 0
    mov dword [stopped], 0
    xor ebp, ebp
    call map_round
    mov rax, cr3
    mov cr3, rax
    RUN %1
%endmacro
cpu_main:
    INTERRUPT FLUSH, flush_handler
    mov dword [pdpt + 8], window_directory + 3
    mov dword [window_directory], window_table + 3
    SHOOT data_job
    SHOOT code_job
    SHOOT walk_job
    SHOOT stack_job
    ret

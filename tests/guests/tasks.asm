; Task switches: Intel SDM vol. 3 chapter 7.
; qemu: TCG reports the old EIP for faults in a new task, and does not check stack limits
%include "common.inc"

OTHER_TSS equ 0x30     ; a second task, ring 0
TASK_GATE equ 0x38     ; task gate to it, DPL 3
SHORT_TSS equ 0x40     ; limit too small
ABSENT_TSS equ 0x48
TSS16_SEL equ 0x50     ; a 16-bit task
DF_TSS equ 0x58        ; the task of the double fault handler
USER_TSS equ 0x60      ; a task that runs in ring 3
LDT_SEL equ 0x68
ABSENT_DS equ 0x80     ; data, not present
CODE16 equ 0x70        ; 16-bit code for the 16-bit task
VECTOR equ 0x2A

TSS_EIP equ 32
TSS_EFLAGS equ 36
TSS_EAX equ 40
TSS_ESP equ 56
TSS_ES equ 72
TSS_CS equ 76
TSS_SS equ 80
TSS_DS equ 84
TSS_LDT equ 96
BUSY equ 2             ; in the type of a TSS descriptor
NT equ 1 << 14

%macro FILL_TASK 3     ; TSS, EIP, ESP: a task of ring 0 with flat segments
    mov edi, %1
    mov eax, %2
    mov edx, %3
    call fill_task
%endmacro

%macro EXPECT_TYPE 3   ; selector, access byte
    movzx ecx, byte [gdt + %1 + 5]
    EXPECT_EQ ecx, %2, %3
%endmacro

section .text
test_main:
    DESCRIPTOR OTHER_TSS, other_tss, 103, 0x89, 0
    DESCRIPTOR SHORT_TSS, other_tss, 102, 0x89, 0
    DESCRIPTOR ABSENT_TSS, other_tss, 103, 0x09, 0
    DESCRIPTOR TSS16_SEL, tss16, 43, 0x81, 0
    DESCRIPTOR DF_TSS, df_tss, 103, 0x89, 0
    DESCRIPTOR USER_TSS, user_tss, 103, 0x89, 0
    DESCRIPTOR LDT_SEL, ldt, 15, 0x82, 0
    DESCRIPTOR ABSENT_DS, 0, 0xFFFF, 0x12, 0xCF
    DESCRIPTOR CODE16, task16_code, 0xFFFF, 0x9A, 0
    mov dword [gdt + TASK_GATE], OTHER_TSS << 16
    mov dword [gdt + TASK_GATE + 4], 0x0000E500
    call jump
    call call_and_return
    call gates
    call refused
    call with_ldt
    call to_ring3_task
    call to_16_bit
    call faults_in_new_task
    call double_fault_task
    ret

; EDI: TSS, EAX: EIP, EDX: ESP
fill_task:
    push eax
    push edi
    xor eax, eax
    mov ecx, 26
    rep stosd
    pop edi
    pop eax
    mov [edi + TSS_EIP], eax
    mov [edi + TSS_ESP], edx
    mov dword [edi + TSS_EFLAGS], 2
    mov word [edi + TSS_CS], KERNEL_CS
    mov eax, KERNEL_DS
    mov [edi + TSS_SS], ax
    mov [edi + TSS_DS], ax
    mov [edi + TSS_ES], ax
    mov word [edi + 102], 104
    ret

; JMP: the old task is available, the new one busy, no back link, NT clear; registers come from and go to the TSS.
jump:
    FILL_TASK other_tss, .there, other_stack_top
    mov dword [other_tss + TSS_EAX], 0x12345678
    EXPECT_TYPE TSS_SEL, 0x8B, 'the first task is busy'
    mov ebx, 0xB0B0B0B0
    mov esi, 0x51515151
    mov [saved_esp], esp
    jmp OTHER_TSS:0
.back:
    EXPECT_EQ esp, [saved_esp], 'ESP of the first task'
    EXPECT_EQ ebx, 0xB0B0B0B0, 'EBX of the first task'
    EXPECT_EQ [tss + TSS_EIP], .back, 'EIP saved by JMP'
    EXPECT_EQ [tss + 52], 0xB0B0B0B0, 'EBX saved by JMP'
    EXPECT_TYPE TSS_SEL, 0x8B, 'the first task is busy again'
    EXPECT_TYPE OTHER_TSS, 0x89, 'the second task is available'
    mov eax, cr0
    and eax, 8
    EXPECT_EQ eax, 8, 'CR0.TS after a task switch'
    clts
    ret
.there:
    mov [found_eax], eax
    str [found_tr]
    pushfd
    pop dword [found_flags]
    EXPECT_EQ [found_eax], 0x12345678, 'EAX of the second task'
    EXPECT_EQ esp, other_stack_top, 'ESP of the second task'
    movzx ecx, word [found_tr]
    EXPECT_EQ ecx, OTHER_TSS, 'TR'
    mov ecx, [found_flags]
    and ecx, NT
    EXPECT_EQ ecx, 0, 'NT after JMP'
    EXPECT_TYPE TSS_SEL, 0x89, 'JMP leaves the old task available'
    EXPECT_TYPE OTHER_TSS, 0x8B, 'JMP makes the new task busy'
    jmp TSS_SEL:0

; CALL: both busy, back link, NT set; IRET goes back.
call_and_return:
    FILL_TASK other_tss, .there, other_stack_top
    mov ebx, 0xCA11CA11
    call OTHER_TSS:0
.back:
    EXPECT_EQ ebx, 0xCA11CA11, 'EBX after IRET to the first task'
    EXPECT_TYPE OTHER_TSS, 0x89, 'IRET leaves the second task available'
    EXPECT_TYPE TSS_SEL, 0x8B, 'the first task after IRET'
    mov eax, [other_tss + TSS_EFLAGS]
    and eax, NT
    EXPECT_EQ eax, 0, 'NT in the TSS that IRET left'
    EXPECT_EQ [other_tss + TSS_EIP], .after_iret, 'EIP in the TSS that IRET left'
    ; A second call goes on behind the IRET.
    call OTHER_TSS:0
    EXPECT_EQ [rounds], 2, 'the second task goes on behind its IRET'
    clts
    ret
.there:
    inc dword [rounds]
    pushfd
    pop ecx
    and ecx, NT
    EXPECT_EQ ecx, NT, 'NT after CALL'
    movzx ecx, word [other_tss]
    EXPECT_EQ ecx, TSS_SEL, 'back link'
    EXPECT_TYPE TSS_SEL, 0x8B, 'CALL leaves the old task busy'
    EXPECT_TYPE OTHER_TSS, 0x8B, 'CALL makes the new task busy'
    iretd
.after_iret:
    jmp .there

; Task gates: by CALL, by INT, and by an exception with an error code.
gates:
    FILL_TASK other_tss, .there, other_stack_top
    call TASK_GATE:0
    EXPECT_EQ [gate_rounds], 1, 'CALL by a task gate'
    mov dword [idt + VECTOR * 8], OTHER_TSS << 16
    mov dword [idt + VECTOR * 8 + 4], 0x8500
    int VECTOR
.after_int:
    EXPECT_EQ [gate_rounds], 2, 'INT by a task gate'
    EXPECT_EQ [tss + TSS_EIP], .after_int, 'EIP saved by INT'
    ; #GP by a task gate: the error code is on the new task's stack, and EIP is that of the fault.
    mov dword [idt + 13 * 8], OTHER_TSS << 16
    mov dword [idt + 13 * 8 + 4], 0x8500
    FILL_TASK other_tss, .fault, other_stack_top
    mov ax, 0x1F0
.at:
    mov fs, ax
.skipped:
    GATE 13, [stub_table + 13 * 4], 0x8E
    EXPECT_EQ [fault_error], 0x1F0, 'error code on the stack of the handling task'
    EXPECT_EQ [fault_eip], .at, 'EIP of the task that faulted'
    clts
    ret
.there:
    inc dword [gate_rounds]
    iretd
    jmp .there
.fault:
    pop dword [fault_error]
    mov eax, [tss + TSS_EIP]
    mov [fault_eip], eax
    mov dword [tss + TSS_EIP], .skipped
    iretd

refused:
    FILL_TASK other_tss, refused, other_stack_top
    FAULTS 13, TSS_SEL, 'JMP to a busy task', {jmp TSS_SEL:0}
    FAULTS 11, ABSENT_TSS, 'JMP to an absent task', {jmp ABSENT_TSS:0}
    FAULTS 10, SHORT_TSS, 'JMP to a short TSS', {jmp SHORT_TSS:0}
    FAULTS 13, 0x1F8, 'JMP to a TSS beyond the table', {jmp 0x1F8:0}
    mov bx, TSS_SEL
    FAULTS 13, TSS_SEL, 'LTR of a busy TSS', {ltr bx}
    mov word [gdt + TASK_GATE + 2], TSS_SEL
    FAULTS 13, TSS_SEL, 'task gate to a busy task', {jmp TASK_GATE:0}
    mov word [gdt + TASK_GATE + 2], KERNEL_DS
    FAULTS 13, KERNEL_DS, 'task gate to data', {jmp TASK_GATE:0}
    mov byte [gdt + TASK_GATE + 5], 0x65
    FAULTS 11, TASK_GATE, 'task gate that is not present', {jmp TASK_GATE:0}
    mov byte [gdt + TASK_GATE + 5], 0xE5
    mov word [gdt + TASK_GATE + 2], OTHER_TSS
    RING3 user_jmp_tss, 13, OTHER_TSS, 'JMP to a TSS of ring 0 from ring 3'
    ; IRET with NT goes by the back link, which must be a busy task.
    CATCH .back_link
    mov word [tss], OTHER_TSS
    pushfd
    or dword [esp], NT
    popfd
    iretd
.back_link:
    EXPECT_EQ [caught], 10, 'IRET to a task that is not busy'
    EXPECT_EQ [caught_error], OTHER_TSS, 'IRET to a task that is not busy (error code)'
    mov eax, [caught_eflags]
    and eax, NT
    EXPECT_EQ eax, NT, 'NT in the frame'
    pushfd
    pop eax
    and eax, NT
    EXPECT_EQ eax, 0, 'NT in a handler'
    ret

; The LDT comes with the task; a switch back restores the old one.
with_ldt:
    mov eax, ldt_data
    mov ebx, 3
    mov cx, 0x40F2
    mov edi, ldt + 8
    call put_descriptor
    FILL_TASK other_tss, .there, other_stack_top
    mov word [other_tss + TSS_LDT], LDT_SEL
    mov word [other_tss + TSS_DS], 0x0F         ; the LDT's entry 1, RPL 3
    call OTHER_TSS:0
    sldt ax
    movzx eax, ax
    EXPECT_EQ eax, 0, 'LDTR of the first task'
    EXPECT_EQ [found_ldt], LDT_SEL, 'LDTR of the second task'
    EXPECT_EQ [found_by_ldt], 0x1D71D71D, 'data by the LDT of the second task'
    clts
    ret
.there:
    mov eax, [0]
    mov [es:found_by_ldt], eax
    sldt ax
    movzx eax, ax
    mov [es:found_ldt], eax
    iretd

; A task of ring 3: its privilege is that of CS, its inner stack that of its own TSS.
to_ring3_task:
    FILL_TASK user_tss, user_int, ring3_stack_top
    mov word [user_tss + TSS_CS], USER_CS
    mov word [user_tss + TSS_SS], USER_DS
    mov word [user_tss + TSS_DS], USER_DS
    mov word [user_tss + TSS_ES], USER_DS
    mov dword [user_tss + 4], other_stack_top
    mov dword [user_tss + 8], KERNEL_DS
    CATCH .user
    jmp USER_TSS:0
.user:
    EXPECT_EQ [caught], USER_INT, 'INT in a task of ring 3'
    EXPECT_EQ [caught_cs], USER_CS, 'CS of a task of ring 3'
    EXPECT_TYPE USER_TSS, 0x8B, 'the task of ring 3 is busy'
    call leave_task
    ret

; Makes TSS_SEL the current task again, wherever a fault left us.
leave_task:
    and byte [gdt + TSS_SEL + 5], ~BUSY
    mov ax, TSS_SEL
    ltr ax
    and byte [gdt + OTHER_TSS + 5], ~BUSY
    and byte [gdt + USER_TSS + 5], ~BUSY
    clts
    ret

; A 16-bit TSS: words; the upper halves of registers become ones (vol. 3 section 7.6: undefined), so they are not checked.
to_16_bit:
    mov edi, tss16
    mov word [edi + 14], 0          ; IP
    mov word [edi + 16], 2          ; FLAGS
    mov word [edi + 18], 0x1616     ; AX
    mov word [edi + 26], 0x7000     ; SP
    mov word [edi + 34], KERNEL_DS  ; ES
    mov word [edi + 36], CODE16
    mov word [edi + 38], KERNEL_DS
    mov word [edi + 40], KERNEL_DS
    mov word [edi + 42], 0
    call TSS16_SEL:0
    movzx ecx, word [found_eax]
    EXPECT_EQ ecx, 0x1616, 'AX of a 16-bit task'
    EXPECT_TYPE TSS16_SEL, 0x81, 'a 16-bit task is available after IRET'
    clts
    ret

; Checks after the switch fault in the new task (vol. 3 table 7-1): #TS or #NP with the selector, CS:EIP of the new task.
%macro BAD_TASK 5      ; offset in the TSS, selector, vector, error code, name
    FILL_TASK other_tss, refused, other_stack_top
    mov word [other_tss + %1], %2
    CATCH %%after
    jmp OTHER_TSS:0
%%after:
    EXPECT_EQ [caught], %3, %5
    EXPECT_EQ [caught_error], %4, {%5, ' (error code)'}
    EXPECT_TYPE OTHER_TSS, 0x8B, {%5, ': the new task is current'}
    call leave_task
%endmacro

faults_in_new_task:
    BAD_TASK TSS_DS, 0x1F8, 10, 0x1F8, 'new task with DS beyond the table'
    EXPECT_EQ [caught_eip], refused, 'EIP of a fault in a new task'
    BAD_TASK TSS_DS, TSS_SEL, 10, TSS_SEL, 'new task with a TSS in DS'
    BAD_TASK TSS_DS, ABSENT_DS, 11, ABSENT_DS, 'new task with an absent DS'
    ret

; #DF by a task gate works on a broken stack, which is what task gates are still good for.
double_fault_task:
    mov dword [idt + 8 * 8], DF_TSS << 16
    mov dword [idt + 8 * 8 + 4], 0x8500
    FILL_TASK df_tss, .handler, other_stack_top
    mov [saved_esp], esp
    DESCRIPTOR 0x78, stack_bottom, 15, 0x92, 0x40
    mov ax, 0x78
    mov ss, ax
    mov esp, 2
.push:
    push eax                        ; #SS, whose frame does not fit either: #DF
.after:
    EXPECT_EQ [fault_error], 0, 'error code of #DF'
    EXPECT_EQ [fault_eip], .push, 'EIP of #DF'
    clts
    GATE 8, stub_8, 0x8E
    ret
.handler:
    pop dword [fault_error]
    mov eax, [tss + TSS_EIP]
    mov [fault_eip], eax
    mov dword [tss + TSS_EIP], .after
    mov word [tss + TSS_SS], KERNEL_DS
    mov eax, [saved_esp]
    mov [tss + TSS_ESP], eax
    iretd

user_jmp_tss:
    jmp OTHER_TSS:0
user_int:
    int USER_INT

bits 16
task16_code:
    mov [dword found_eax], ax
    iret
bits 32

section .data
align 8
ldt:
    dq 0, 0
ldt_data: dd 0x1D71D71D

section .bss
alignb 16
other_tss: resb 104
alignb 16
df_tss: resb 104
alignb 16
user_tss: resb 104
alignb 16
tss16: resb 44
alignb 16
    resb 4096
other_stack_top:
saved_esp: resd 1
found_eax: resd 1
found_flags: resd 1
found_tr: resd 1
found_ldt: resd 1
found_by_ldt: resd 1
rounds: resd 1
gate_rounds: resd 1
fault_error: resd 1
fault_eip: resd 1
